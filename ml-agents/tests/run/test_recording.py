import json
import logging
import re

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mlagents.run.recorder import Aggregation, Recorder, StatsSummary
from mlagents.run.timers import Timers
from mlagents.run.writers import ConsoleWriter, GaugeWriter, TensorBoardWriter, histogram, outline


class Kept:
    def __init__(self):
        self.written = []

    def write_stats(self, category, values, step):
        self.written.append((category, {name: summary.aggregated_value for name, summary in values.items()}, step))


def test_values_are_aggregated_as_they_were_added():
    kept = Kept()
    recorder = Recorder([kept])
    recorder.add("B", {"mean": 1.0})
    recorder.add("B", {"mean": np.array([2.0, 6.0])})
    for value in (1.0, 2.0):
        recorder.add("B", {"sum": value}, Aggregation.SUM)
        recorder.add("B", {"last": value}, Aggregation.MOST_RECENT)
    recorder.flush("B", 10)
    assert kept.written == [("B", {"mean": 3.0, "sum": 3.0, "last": 2.0}, 10)]


def test_each_summary_begins_anew():
    kept = Kept()
    recorder = Recorder([kept])
    recorder.add("B", {"x": 1.0})
    recorder.flush("B", 10)
    recorder.flush("B", 20)
    assert kept.written[1] == ("B", {}, 20)


def summary(*values, how=Aggregation.HISTOGRAM):
    return StatsSummary(np.array(values, np.float32), how)


def said(caplog, values):
    logging.getLogger("mlagents").propagate = True
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="mlagents"):
        ConsoleWriter().write_stats("3DBall", values, 500)
    (line,) = caplog.messages
    return re.sub(r"Elapsed: [\d.]+ s", "Elapsed: 1.000 s", line)


def test_the_console_speaks_in_the_official_wording(caplog):
    reward = {"Environment/Cumulative Reward": summary(1.0, 3.0)}
    assert (
        said(caplog, reward)
        == "3DBall. Step: 500. Time Elapsed: 1.000 s. Mean Reward: 2.000. Std of Reward: 1.000. Training."
    )
    group = {**reward, "Environment/Group Cumulative Reward": summary(1.9)}
    assert (
        said(caplog, group)
        == "3DBall. Step: 500. Time Elapsed: 1.000 s. Mean Reward: 2.000. Mean Group Reward: 1.900. Training."
    )
    elo = {**reward, "Self-play/ELO": summary(1199.073), "Is Training": summary(0.0)}
    assert said(caplog, elo).endswith("Std of Reward: 1.000. Not Training. ELO: 1199.073.")
    assert (
        said(caplog, {})
        == "3DBall. Step: 500. Time Elapsed: 1.000 s. No episode was completed since last summary. Training."
    )


def test_tensorboard_gets_scalars_histograms_and_text(tmp_path):
    writer = TensorBoardWriter(tmp_path)
    writer.write_text("B", "Hyperparameters", "lr: 1")
    writer.write_stats(
        "B", {"a": summary(1.0, 2.0), "b": summary(5.0, how=Aggregation.AVERAGE), "Step": summary(1.0)}, 100
    )
    board = EventAccumulator(str(tmp_path / "B"))
    board.Reload()
    assert set(board.Tags()["scalars"]) == {"a", "b"}
    assert board.Tags()["histograms"] == ["a_hist"]
    assert board.Tags()["tensors"] == ["Hyperparameters/text_summary"]
    assert [(event.step, event.value) for event in board.Scalars("a")] == [(100, 1.5)]


def test_a_histogram_counts_every_finite_value():
    counted = histogram(np.array([1.0, 1.0, np.nan, 3.0]))
    assert sum(counted.bucket) == 3
    assert (counted.min, counted.max, counted.sum) == (1.0, 3.0, 5.0)


def test_timers_are_a_tree_with_gauges(tmp_path):
    timers = Timers({"python_version": "3"})
    for _ in range(2):
        with timers.time("outer"), timers.time("inner"):
            pass
    GaugeWriter(timers).write_stats("B", {"Environment/Cumulative Reward": summary(1.0, 3.0)}, 1)
    timers.write(tmp_path / "timers.json")
    tree = json.loads((tmp_path / "timers.json").read_text())
    assert tree["name"] == "root"
    outer = tree["children"]["outer"]
    assert outer["count"] == outer["children"]["inner"]["count"] == 2
    assert outer["self"] == pytest.approx(outer["total"] - outer["children"]["inner"]["total"])
    assert tree["gauges"]["B.Environment.CumulativeReward.mean"] == {"value": 2.0, "min": 2.0, "max": 2.0, "count": 1}
    assert tree["metadata"]["timer_format_version"] == "0.1.0"
    assert {"start_time_seconds", "end_time_seconds", "python_version"} <= set(tree["metadata"])


def test_settings_are_outlined_in_the_official_layout():
    assert (
        outline({"trainer_type": "ppo", "hyperparameters": {"batch_size": 32}})
        == "\ttrainer_type:\tppo\n\thyperparameters:\t\n\t  batch_size:\t32"
    )


class Broken(Kept):
    def __init__(self, error):
        super().__init__()
        self.error, self.calls = error, 0

    def write_stats(self, category, values, step):
        self.calls += 1
        raise self.error

    def close(self):
        self.calls += 100


def test_a_writer_that_raises_is_named_once_switched_off_and_in_nobodys_way(caplog):
    broken, kept = Broken(ValueError("no such\n column")), Kept()
    recorder = Recorder([broken, kept])
    logging.getLogger("mlagents").propagate = True
    with caplog.at_level(logging.WARNING, logger="mlagents"):
        for step in (10, 20):
            recorder.add("B", {"x": 1.0})
            recorder.flush("B", step)
        recorder.close()
    assert broken.calls == 1
    assert [step for *_, step in kept.written] == [10, 20]
    (message,) = caplog.messages
    assert message.startswith("Broken: ValueError: no such column (")
    assert "test_recording.py, line " in message and message.endswith("Training goes on without this writer.")


def test_a_writer_that_the_system_refuses_is_tried_again(caplog):
    broken = Broken(OSError(28, "No space left on device"))
    recorder = Recorder([broken])
    logging.getLogger("mlagents").propagate = True
    with caplog.at_level(logging.WARNING, logger="mlagents"):
        for step in (10, 20):
            recorder.flush("B", step)
    assert broken.calls == 2
    assert len(caplog.messages) == 1


def test_a_writer_that_cannot_be_closed_keeps_no_other_from_it(caplog):
    class Stuck(Kept):
        def close(self):
            raise RuntimeError("stuck")

    broken = Broken(ValueError())
    Recorder([Stuck(), broken]).close()
    assert broken.calls == 100
