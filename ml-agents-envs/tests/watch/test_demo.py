import numpy as np
import pytest

pytest.importorskip("mlagents_envs.demonstrations.recording")

from mlagents_envs.base_env import ActionSpec, ActionTuple, BehaviorSpec, DecisionSteps, TerminalSteps
from mlagents_envs.demonstrations.file import read
from mlagents_envs.examples.catalog import make
from mlagents_envs.examples.example import vector_sensor
from mlagents_envs.exception import UnityEnvironmentException
from mlagents_envs.watch.demo import DemoRecording
from mlagents_envs.watch.play import Play
from mlagents_envs.watch.policies import RandomPolicy


def record(path, name, row, decisions, **options):
    """Record, and return what the agent of a row saw, what led there, and what it was given, counted by hand."""
    env = make(name, **options)
    play = Play(env, {behavior: RandomPolicy(env.SPEC, seed=k) for k, behavior in enumerate(env.BEHAVIORS)})
    seen, led, given, ended = [], [], [], []
    nothing = env.SPEC.action_spec.empty_action(1)
    last = nothing.continuous[0], nothing.discrete[0]
    with DemoRecording(path, env, row) as demo:
        for _ in range(decisions):
            behavior = env.behavior_of(row)
            decision, _ = env.get_steps(behavior)
            (at,) = np.flatnonzero(env.asking_rows(behavior) == row)
            agent = decision.agent_id[at]
            seen.append(decision.obs[0][at])
            given.append(decision.reward[at] + decision.group_reward[at])
            ended.append(False)
            led.append(last)
            demo.before()
            action = play.decide()
            demo.after(action)
            last = action.continuous[row].copy(), action.discrete[row].copy()
            _, terminal = env.get_steps(behavior)
            if agent in terminal.agent_id:
                (at,) = np.flatnonzero(terminal.agent_id == agent)
                seen.append(terminal.obs[0][at])
                given.append(terminal.reward[at] + terminal.group_reward[at])
                ended.append(True)
                led.append(last)
                last = nothing.continuous[0], nothing.discrete[0]
    return env, seen, led, given, ended


@pytest.mark.parametrize(
    ("name", "row"), [("3DBall", 1), ("Basic", 0), ("GridWorld", 0), ("SoccerTwos", 2), ("WallJump", 0)]
)
def test_a_recording_holds_what_the_agent_saw_what_led_there_and_what_it_was_given(tmp_path, name, row):
    if name not in ("3DBall", "Basic"):
        pytest.importorskip("numba")
    file = tmp_path / "mine.demo"
    env, seen, led, given, ended = record(file, name, row, 80, areas=2, seed=5)
    demo = read(file)
    assert demo.spec.action_spec == env.SPEC.action_spec
    assert [sensor.shape for sensor in demo.spec.observation_specs] == [
        sensor.shape for sensor in env.SPEC.observation_specs
    ]
    assert np.array_equal(demo.obs[0], np.stack(seen).reshape(demo.obs[0].shape))
    assert demo.reward == pytest.approx(given)
    assert demo.done.tolist() == ended
    assert np.array_equal(demo.action.continuous, [continuous for continuous, _ in led])
    assert np.array_equal(demo.action.discrete, [discrete for _, discrete in led])


@pytest.mark.parametrize("name", ["Basic", "GridWorld", "PushBlock"])
def test_a_recording_is_what_the_scene_makes_of_its_actions(tmp_path, name):
    """Let another scene of the same seed take the recorded actions: it gives the recorded observations and rewards."""
    if name != "Basic":
        pytest.importorskip("numba")
    record(tmp_path / "a.demo", name, 0, 120, areas=1, seed=3)

    def same(align):
        rows = read(tmp_path / "a.demo", align=align).transitions()
        env, steps = make(name, areas=1, seed=3), []
        env.reset()
        for k in range(len(rows)):
            before, _ = env.get_steps(env.behavior)
            env.set_actions(env.behavior, ActionTuple(rows.action.continuous[[k]], rows.action.discrete[[k]]))
            env.step()
            decision, terminal = env.get_steps(env.behavior)
            then = terminal if len(terminal) else decision
            steps.append(
                all(np.array_equal(here[0], there[k]) for here, there in zip(before.obs, rows.obs, strict=True))
                and all(np.array_equal(here[0], there[k]) for here, there in zip(then.obs, rows.next_obs, strict=True))
                and (then.reward[0], len(terminal) > 0) == (rows.reward[k], rows.done[k])
            )
        return np.mean(steps)

    assert same("auto") == 1.0
    assert same("old") < 0.5  # the other pairing is soon somewhere else


class Scripted:
    """Plays two episodes of one row, after another agent's; agents may keep their numbers."""

    BEHAVIORS = ("B?team=0",)
    SPEC = BehaviorSpec([vector_sensor(1, "place")], ActionSpec.create_discrete((9,)))

    def __init__(self, numbers):
        self._numbers, self._tick = numbers, 0  # numbers: of row 1, one per episode

    def move(self):
        self._tick += 1

    def behavior_of(self, row):
        return "B?team=0"

    def asking_rows(self, behavior):
        return np.arange(2)

    def ended_rows(self, behavior):
        return np.arange(2 if self._tick in (2, 4) else 0)

    def get_steps(self, behavior):
        now, ends = self._tick, self._tick in (2, 4)
        agent = np.array([50, self._numbers[now // 2]], np.int32)
        alone = np.zeros(2, np.int32), np.zeros(2, np.float32)
        decision = DecisionSteps([self.at(now)], np.float32([0, 0 if ends else now]), agent, None, *alone)
        terminal = TerminalSteps.empty(self.SPEC)
        if ends:
            ended = np.array([50, self._numbers[now // 2 - 1]], np.int32)
            terminal = TerminalSteps([self.at(now) + 0.5], np.float32([0, now]), np.array([False, True]), ended, *alone)
        return decision, terminal

    def at(self, now):
        return np.array([[-1.0], [now]], np.float32)


@pytest.mark.parametrize("numbers", [(7, 7, 7), (7, 8, 9)], ids=["kept", "renewed"])
def test_an_agent_that_ends_and_begins_in_one_tick_is_followed_whatever_its_number(tmp_path, numbers):
    scene = Scripted(numbers)
    with DemoRecording(tmp_path / "a.demo", scene, 1) as demo:
        for choice in (1, 2, 3, 4, 5):
            demo.before()
            scene.move()
            demo.after(ActionTuple(discrete=np.array([[0], [choice]], np.int32)))
    again = read(tmp_path / "a.demo")
    assert again.obs[0].flatten().tolist() == [0, 1, 2.5, 2, 3, 4.5, 4]
    assert again.action.discrete.flatten().tolist() == [0, 1, 2, 0, 3, 4, 0]
    assert again.reward.tolist() == [0, 1, 2, 0, 3, 4, 0]
    assert again.interrupted.tolist() == again.done.tolist() == [False, False, True, False, False, True, False]
    assert demo.records == 7


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
