"""A run as a value: begun from options, ended with its files in order, and several of them in one process."""

import gc
import sys
import threading
from pathlib import Path

import pytest

from mlagents.build import make_session
from mlagents.envs.pool import EnvLost
from mlagents.errors import ResultsError
from mlagents.run.callbacks import Callback
from mlagents.run.outcome import Ended
from mlagents.settings.reading import load

sys.path.insert(0, str(Path(__file__).parents[1]))
from basic_run import BASIC


@pytest.fixture
def options(tmp_path, monkeypatch):
    """A function that returns the options of a run of Basic in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def make(run_id="run", steps=600, seed=1, **checkpoint):
        Path(f"{run_id}.yaml").write_text(BASIC.replace("MAX", str(steps)))
        flags = {
            "env_settings": {"env_path": "builtin:Basic", "seed": seed},
            "checkpoint_settings": {"run_id": run_id, **checkpoint},
        }
        return load(f"{run_id}.yaml", flags)[0]

    return make


def test_a_session_returns_what_became_of_it(options):
    outcome = make_session(options()).run()
    basic = outcome.behaviors["Basic"]
    assert outcome.ended is Ended.FINISHED and not outcome.why
    assert basic.finished and 600 < basic.step < 700 and basic.max_steps == 600
    assert -1 < basic.mean_return < 1 and 0 < basic.episodes <= 100
    assert basic.last_summary.num > 0
    assert basic.model == Path("results/run/Basic.onnx") and basic.model.is_file()
    assert outcome.folder == Path("results/run") and outcome.settings.is_file()
    assert not Path("results/run/.lock").exists()


def test_the_garbage_collector_is_spared_what_is_there_while_it_runs_and_as_it_was_afterwards(options):
    frozen = []

    class Look(Callback):
        def on_summary(self, progress):
            frozen.append(gc.get_freeze_count())

    make_session(options(), callbacks=[Look()]).run()
    assert frozen and min(frozen) > 10_000
    assert gc.get_freeze_count() == 0


def test_nothing_is_printed_and_no_signal_handler_is_touched(options, capsys):
    make_session(options()).run()
    printed = capsys.readouterr()
    assert printed.out == printed.err == ""


def test_several_run_at_once_in_threads_where_signals_cannot_be_handled(options):
    sessions = [make_session(options(name)) for name in ("one", "two")]
    outcomes = {}
    threads = [
        threading.Thread(target=lambda s=session: outcomes.update({s.results.root.name: s.run()})) for session in sessions
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(outcomes[name].behaviors["Basic"].finished for name in ("one", "two"))


def test_a_session_that_was_stopped_says_so_and_is_saved(options):
    class Stop(Callback):
        def on_episode(self, progress):
            return True

    outcome = make_session(options(steps=100000), callbacks=[Stop()]).run()
    assert outcome.ended is Ended.STOPPED
    assert not outcome.behaviors["Basic"].finished
    assert outcome.behaviors["Basic"].model.is_file()


def test_a_session_that_was_stopped_before_it_began_writes_nothing(options):
    session = make_session(options())
    session.stop()
    assert session.run().behaviors == {}
    assert not Path("results").exists()


def test_a_session_that_is_closed_instead_of_run_writes_nothing_and_lets_others_in(options):
    make_session(options()).run()
    before = sorted(Path("results").rglob("*"))
    session = make_session(options(steps=900, resume=True))
    with pytest.raises(ResultsError, match="another run is training"):
        make_session(options(resume=True))
    session.close()
    assert sorted(Path("results").rglob("*")) == before
    assert make_session(options(steps=900, resume=True)).run().behaviors["Basic"].step > 900


def test_a_session_that_cannot_be_made_lets_others_in_and_ends_its_environment(options, monkeypatch):
    make_session(options()).run()
    closed = []
    monkeypatch.setattr("mlagents.envs.local.LocalPool.close", lambda self: closed.append(self))
    monkeypatch.setattr("mlagents.build.writers", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        make_session(options(resume=True))
    assert len(closed) == 1
    assert not Path("results/run/.lock").exists()


def test_a_player_that_was_closed_ends_the_run_without_an_error(options, monkeypatch):
    session = make_session(options(steps=100000))
    receive, ticks = session.loop.pool.recv, iter(range(200))

    def recv():
        if next(ticks) == 150:
            raise EnvLost("The window was closed.", stopped=True)
        return receive()

    monkeypatch.setattr(session.loop.pool, "recv", recv)
    outcome = session.run()
    assert (outcome.ended, outcome.why) == (Ended.CLOSED, "The window was closed.")
    assert Path("results/run/Basic/checkpoint.pt").is_file()


def test_the_first_failure_is_raised_and_what_was_learnt_is_saved(options):
    class Fail(Callback):
        def on_summary(self, progress):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        make_session(options(), callbacks=[Fail()]).run()
    assert Path("results/run/Basic/checkpoint.pt").is_file()
    assert not Path("results/run/.lock").exists()
