"""Log lines as users see them, and the tree of timers as `timers.json` holds it."""

import logging
import pickle
import re
import threading

import pytest

from mlagents_envs import logging_util, timers
from mlagents_envs.timers import TimerStack, hierarchical_timer


@pytest.fixture
def package():
    """Leave the package's logger and the common level as they were."""
    logger = logging.getLogger("mlagents_envs")
    before = logger.handlers[:], logger.propagate, logger.level, logging_util._loggers.copy(), logging_util._level
    yield logger
    logger.handlers[:], logger.propagate, level, logging_util._loggers, logging_util._level = before
    logger.setLevel(level)


@pytest.fixture
def stack():
    """Begin the timers of this thread anew."""
    timers.reset_timers()
    yield timers.get_timer_stack_for_thread(threading.current_thread())
    timers.reset_timers()


# logging


def test_a_line_is_written_once_however_often_the_logger_was_asked_for(package, capsys):
    logging_util.get_logger("one")
    logging_util.get_logger("one.inside")
    logging_util.set_log_level(logging_util.INFO)
    logging_util.get_logger("one.inside").info("hello")
    logging_util.get_logger("one.inside").debug("not this")
    assert capsys.readouterr().out == "[INFO] hello\n"


def test_the_level_holds_for_earlier_and_later_loggers_and_for_the_package(package, capsys):
    early = logging_util.get_logger("early")
    logging_util.set_log_level(logging_util.WARNING)
    for logger in (early, logging_util.get_logger("late"), logging.getLogger("mlagents_envs.anything")):
        logger.info("not this")
        logger.warning("this")
    assert capsys.readouterr().out == "[WARNING] this\n" * 3


def test_lines_of_debugging_say_when_and_where(package, capsys):
    logging_util.set_log_level(logging_util.DEBUG)
    logging_util.get_logger("detail").debug("hello")
    line = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d DEBUG \[test_logging_and_timers\.py:\d+\] hello\n"
    assert re.fullmatch(line, capsys.readouterr().out)


def test_a_level_of_ones_own_survives_asking_again(package):
    logging_util.get_logger("own").setLevel(logging_util.ERROR)
    assert logging_util.get_logger("own").level == logging_util.ERROR


# timers


def test_stretches_are_counted_inside_each_other(stack):
    for _ in range(2):
        with hierarchical_timer("outer"), hierarchical_timer("inner"):
            pass
    with hierarchical_timer("inner"):
        pass
    tree = timers.get_timer_tree()
    assert (tree["name"], tree["count"]) == ("root", 1)
    assert list(tree["children"]) == ["outer", "inner"]
    outer = tree["children"]["outer"]
    assert (outer["count"], outer["children"]["inner"]["count"]) == (2, 2)
    assert outer["self"] == pytest.approx(outer["total"] - outer["children"]["inner"]["total"], abs=1e-12)
    assert tree["total"] >= outer["total"] > 0
    assert outer.keys() == {"total", "count", "self", "children"}
    assert outer["children"]["inner"].keys() == {"total", "count", "self"}


def test_a_stretch_that_fails_is_counted_and_left(stack):
    with pytest.raises(ValueError, match="x"), hierarchical_timer("outer"):
        raise ValueError("x")
    with hierarchical_timer("next") as node:
        assert node is stack.root.children["next"]
    assert stack.root.children["outer"].count == 1


def test_a_timed_function_is_counted_under_its_name_and_stays_itself(stack):
    @timers.timed
    def double(x: int) -> int:
        """Twice x."""
        return 2 * x

    assert (double(3), double.__name__, double.__doc__) == (6, "double", "Twice x.")
    (name,) = timers.get_timer_root().children
    assert name.endswith("double")


def test_gauges_keep_the_last_value_and_the_extremes(stack):
    for value in (2.0, 5.0, 1.0, 3.0):
        timers.set_gauge("reward", value)
    assert timers.get_timer_tree()["gauges"] == {"reward": {"value": 3.0, "min": 1.0, "max": 5.0, "count": 4}}


def test_gauges_of_another_process_are_merged(stack):
    other = TimerStack()
    timers.set_gauge("a", 7.0, timer_stack=other)
    timers.set_gauge("b", 8.0, timer_stack=other)
    timers.set_gauge("a", 1.0)
    timers.merge_gauges(pickle.loads(pickle.dumps(other.gauges)))
    timers.set_gauge("b", 9.0)
    assert timers.get_timer_tree()["gauges"] == {
        "a": {"value": 7.0, "min": 1.0, "max": 7.0, "count": 2},
        "b": {"value": 9.0, "min": 8.0, "max": 9.0, "count": 2},
    }
    assert other.gauges["b"].count == 1


def test_trees_of_workers_are_merged_and_marked_as_parallel(stack):
    worker = TimerStack()
    with hierarchical_timer("step", worker):
        pass
    root = pickle.loads(pickle.dumps(timers.get_timer_root(worker)))
    with hierarchical_timer("workers") as node:
        node.merge(root, "worker_root")
        node.merge(root, "worker_root")
    merged = timers.get_timer_tree()["children"]["workers"]["children"]["worker_root"]
    assert merged["is_parallel"] is True
    assert (merged["count"], merged["children"]["step"]["count"]) == (2, 2)
    assert merged["total"] == pytest.approx(2 * root.total)
    assert "is_parallel" not in timers.get_timer_tree()["children"]["workers"]


def test_metadata_are_strings(stack):
    timers.add_metadata("numpy_version", "2")
    metadata = timers.get_timer_tree()["metadata"]
    assert (metadata["timer_format_version"], metadata["numpy_version"]) == ("0.1.0", "2")
    assert all(isinstance(value, str) for value in metadata.values())
    assert int(metadata["end_time_seconds"]) >= int(metadata["start_time_seconds"])
    assert {"python_version", "command_line_arguments"} <= metadata.keys()


def test_each_thread_has_timers_of_its_own(stack):
    def work():
        with hierarchical_timer("there"):
            pass

    thread, idle = threading.Thread(target=work), threading.Thread()
    with hierarchical_timer("here"):
        thread.start()
        thread.join()
    assert list(timers.get_timer_root().children) == ["here"]
    theirs = timers.get_timer_stack_for_thread(thread)
    assert list(timers.get_timer_root(theirs).children) == ["there"]
    assert timers.get_timer_stack_for_thread(idle) is None


def test_after_a_reset_nothing_is_left_even_of_a_stretch_that_runs(stack):
    timers.set_gauge("a", 1.0)
    with hierarchical_timer("outer"):
        timers.reset_timers()
        with hierarchical_timer("inner"):
            pass
    tree = timers.get_timer_tree()
    assert (list(tree["children"]), tree["gauges"]) == (["inner"], {})
