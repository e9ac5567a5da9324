import numpy as np
import pytest

pytest.importorskip("mlagents_envs.recording")

from mlagents_envs.demonstration import read
from mlagents_envs.examples.catalog import make
from mlagents_envs.exception import UnityEnvironmentException
from mlagents_envs.watch.demo import DemoRecording
from mlagents_envs.watch.play import Play
from mlagents_envs.watch.players import Chance


def record(path, name, row, decisions, **options):
    """Record, and return what the agent of a row saw, did and was given, counted by hand."""
    env = make(name, **options)
    play = Play(env, {behavior: Chance(env.SPEC, seed=k) for k, behavior in enumerate(env.BEHAVIORS)})
    seen, done, given, ended = [], [], [], []
    with DemoRecording(path, env, row) as demo:
        for _ in range(decisions):
            behavior = env.BEHAVIORS[env._which[row]]
            decision, _ = env.get_steps(behavior)
            (at,) = np.flatnonzero(decision.agent_id == env._agent[row])
            agent = decision.agent_id[at]
            seen.append(decision.obs[0][at])
            given.append(decision.reward[at] + decision.group_reward[at])
            ended.append(False)
            demo.before()
            action = play.decide()
            demo.after(action)
            done.append((action.continuous[row], action.discrete[row]))
            _, terminal = env.get_steps(behavior)
            if agent in terminal.agent_id:
                (at,) = np.flatnonzero(terminal.agent_id == agent)
                seen.append(terminal.obs[0][at])
                given.append(terminal.reward[at] + terminal.group_reward[at])
                ended.append(True)
                done.append((0 * action.continuous[row], 0 * action.discrete[row]))
    return env, seen, done, given, ended


@pytest.mark.parametrize(
    ("name", "row"), [("3DBall", 1), ("Basic", 0), ("GridWorld", 0), ("SoccerTwos", 2), ("WallJump", 0)]
)
def test_a_recording_holds_what_the_agent_saw_did_and_was_given(tmp_path, name, row):
    if name not in ("3DBall", "Basic"):
        pytest.importorskip("numba")
    file = tmp_path / "mine.demo"
    env, seen, done, given, ended = record(file, name, row, 80, areas=2, seed=5)
    demo = read(file)
    assert demo.spec.action_spec == env.SPEC.action_spec
    assert [sensor.shape for sensor in demo.spec.observation_specs] == [
        sensor.shape for sensor in env.SPEC.observation_specs
    ]
    assert np.array_equal(demo.obs[0], np.stack(seen).reshape(demo.obs[0].shape))
    assert demo.reward == pytest.approx(given)
    assert demo.done.tolist() == ended
    assert np.array_equal(demo.action.continuous, [continuous for continuous, _ in done])
    assert np.array_equal(demo.action.discrete, [discrete for _, discrete in done])


def test_what_was_forbidden_is_recorded(tmp_path):
    pytest.importorskip("numba")
    record(tmp_path / "grid.demo", "GridWorld", 0, 40, areas=1, seed=5)
    assert not read(tmp_path / "grid.demo").mask.all()


def test_the_behavior_is_named(tmp_path):
    record(tmp_path / "ball.demo", "3DBall", 0, 3, areas=1)
    assert read(tmp_path / "ball.demo").behavior == "3DBall"


def test_a_file_that_cannot_be_written_is_a_sentence(tmp_path):
    env = make("Basic")
    env.reset()
    with pytest.raises(
        UnityEnvironmentException, match=r"mine\.demo: it cannot be written there \(.+\); name another file$"
    ):
        DemoRecording(tmp_path / "nowhere" / "mine.demo", env, 0)
