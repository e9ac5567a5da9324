"""Mistakes of other people's environments, and what they are told."""

import logging
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from pettingzoo import ParallelEnv

from mlagents.adapters.gymnasium import GymnasiumEnv
from mlagents.adapters.pettingzoo import PettingZooEnv
from mlagents.envs import blocks
from mlagents.envs.blocks import Block, NoRoom
from mlagents_envs.base_env import ActionSpec, BehaviorSpec, DimensionProperty, ObservationSpec, ObservationType
from mlagents_envs.exception import UnityEnvironmentException, UnityException, UnityObservationException

VECTOR = spaces.Box(-1, 1, (2,), np.float32)


class Odd(gymnasium.Env):
    """Returns what it is told to."""

    action_space = spaces.Discrete(3)

    def __init__(self, seen=None, *, space=VECTOR, **odd):
        self.observation_space = space
        self.seen = space.sample() if seen is None else seen
        self.odd = odd

    def reset(self, *, seed=None, options=None):
        if "reset" in self.odd:
            return self.odd["reset"]()
        return self.seen, self.odd.get("info", {})

    def step(self, action):
        if "step" in self.odd:
            return self.odd["step"]()
        return (
            self.seen, self.odd.get("reward", 0.0), self.odd.get("terminated", False), self.odd.get("truncated", False),
            self.odd.get("info", {}),
        )  # fmt: skip


class Unseeded(Odd):
    def reset(self):
        return self.seen


def play(env):
    env.reset()
    env.step()
    return env


def crash():
    raise ZeroDivisionError("of the user")


OLD = "gym before 0.26"


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        (lambda: Odd(reset=lambda: np.zeros(2)), rf"copy 0: reset\(\) returned a ndarray, not .*{OLD}.*shimmy"),
        (lambda: Odd(reset=lambda: (np.zeros(2), 1)), rf"copy 0: reset\(\) returned 2 values, .*{OLD}"),
        (lambda: Odd(step=lambda: (np.zeros(2), 0.0, False, {})), rf"copy 0: step\(\) returned 4 values, .*{OLD}"),
        (lambda: Odd(step=lambda: None), r"copy 0: step\(\) returned a NoneType"),
        (Unseeded, rf"copy 0: reset\(\) takes no seed. .*{OLD}"),
        (lambda: Odd(reward=None), "copy 0: its reward is None; a reward is one number"),
        (lambda: Odd(reward="3.5"), "copy 0: its reward is '3.5'"),
        (lambda: Odd(reward=np.zeros(2)), r"copy 0: its reward is array\(\[0., 0.\]\)"),
        (lambda: Odd(reward=1j), "copy 0: its reward is 1j"),
        (lambda: Odd(terminated=np.zeros(2)), r"copy 0: terminated is array.*True or False"),
        (lambda: Odd(truncated=None), "copy 0: truncated is None; it must be True or False"),
        (lambda: Odd(info={"action_mask": [1, 1]}), "copy 0: an action mask has 2 entries"),
        (lambda: Odd(info={"action_mask": "yes"}), "copy 0: an action mask is no array of zeros and ones"),
        (lambda: Odd(info={"action_mask": [[1], [1, 1]]}), "copy 0: an action mask is no array of zeros and ones"),
        (lambda: Odd(info={"action_mask": [1, 0.5, 0]}), "copy 0: an action mask has the entry 0.5; 1 allows"),
        (lambda: Odd(info={"action_mask": [1, np.nan, 0]}), "copy 0: an action mask has the entry nan"),
        (lambda: Odd(step=crash), r"copy 0: step\(\) raised ZeroDivisionError: of the user \(.*faults.py:\d+ in crash"),
        (lambda: Odd(reset=crash), r"copy 0: reset\(\) raised ZeroDivisionError: of the user \(.*:\d+ in crash\)"),
    ],
)
def test_what_an_environment_returns_or_raises_wrongly_is_a_sentence(env, sentence):
    with pytest.raises(UnityEnvironmentException, match=f"(?s)gym:(Odd|Unseeded), {sentence}"):
        play(GymnasiumEnv(env(), copies=1))


def test_the_copy_that_is_wrong_is_named_and_the_whole_traceback_is_in_the_log(caplog):
    caplog.set_level(logging.DEBUG, "mlagents.adapters.foreign_calls")
    made = []

    def make():
        made.append(Odd(step=crash) if len(made) == 2 else Odd())
        return made[-1]

    with pytest.raises(UnityEnvironmentException, match=r"copy 2: step\(\) raised"):
        play(GymnasiumEnv(make, copies=3))
    assert "Traceback" in caplog.text and "in crash" in caplog.text


def test_an_environment_whose_making_raises_is_told_where():
    with pytest.raises(UnityEnvironmentException, match=r"making it raised ZeroDivisionError: of the user .* in crash"):
        GymnasiumEnv(crash, copies=1)


@pytest.mark.parametrize(
    ("space", "seen"),
    [
        (VECTOR, np.zeros(3)),
        (VECTOR, "ab"),
        (VECTOR, ["1", "2"]),
        (VECTOR, {"a": 1}),
        (VECTOR, [[1], [1, 2]]),
        (VECTOR, np.zeros(2, complex)),
        (VECTOR, np.array([None, 1], object)),
        (spaces.Box(-1, 1, (2, 3), np.float32), np.zeros((3, 2))),
        (spaces.Box(0, 255, (4, 5, 3), np.uint8), np.zeros((4, 5))),
        (spaces.Box(0, 255, (4, 5), np.uint8), np.zeros((5, 4))),
        (spaces.Discrete(3), 3),
        (spaces.Discrete(3), -1),
        (spaces.Discrete(3), "1"),
        (spaces.Discrete(3, start=5), 1),
        (spaces.MultiDiscrete([2, 3]), [0, 3]),
        (spaces.MultiDiscrete([2, 3]), [-1, 0]),
        (spaces.MultiDiscrete([2, 3]), [0]),
        (spaces.MultiBinary(3), [1, 0]),
        (spaces.Dict(a=VECTOR), {"b": np.zeros(2)}),
        (spaces.Dict(a=VECTOR), np.zeros(2)),
        (spaces.Dict(a=spaces.Dict(b=VECTOR)), {"a": 3}),
        (spaces.Tuple((VECTOR, VECTOR)), (np.zeros(2),)),
    ],
)
def test_an_observation_that_its_space_does_not_have_is_a_sentence(space, seen):
    class Shows(Odd):
        def reset(self, *, seed=None, options=None):
            return seen, {}

    with pytest.raises(UnityObservationException, match=r"gym:Shows, copy 0: .*observation"):
        GymnasiumEnv(Shows(space=space), copies=1).reset()


@pytest.mark.parametrize("reward", [1, True, np.float32(1), np.array(1.0), np.array([1.0]), np.int64(1)])
def test_a_reward_of_any_kind_of_number_is_taken(reward):
    env = play(GymnasiumEnv(Odd(reward=reward), copies=1))
    assert env.get_steps("Odd?team=0")[0].reward.tolist() == [1.0]


class Field(ParallelEnv):
    """One agent, whatever goes wrong."""

    metadata = {"name": "field"}

    def __init__(self, **odd):
        self.possible_agents, self.odd, self.resets = ["a_0"], odd, 0

    def observation_space(self, agent):
        return VECTOR

    def action_space(self, agent):
        return spaces.Discrete(3)

    def reset(self, seed=None, options=None):
        self.resets += 1
        self.agents = self.odd.get("agents", ["a_0"])
        if "reset" in self.odd:
            return self.odd["reset"]()
        return self.odd.get("seen", {"a_0": np.zeros(2)}), {}

    def step(self, actions):
        if "step" in self.odd:
            return self.odd["step"]()
        return {"a_0": np.zeros(2)}, {"a_0": self.odd.get("reward", 0.0)}, {"a_0": self.odd.get("over", False)}, {}, {}


@pytest.mark.parametrize(
    ("odd", "sentence"),
    [
        ({"agents": []}, "copy 0: 10 episodes in a row began without an agent"),
        ({"seen": {}}, "copy 0, agent 'a_0': it is in `agents`, but has no observation"),
        ({"seen": {"a_0": "x"}}, "copy 0, agent 'a_0': observation 'observation' does not fit its space"),
        ({"reset": lambda: {"a_0": np.zeros(2)}}, rf"copy 0: reset\(\) returned a dict, .*{OLD}"),
        ({"step": lambda: ({}, {}, {}, {})}, rf"copy 0: step\(\) returned 4 values, .*{OLD}"),
        ({"step": crash}, r"copy 0: step\(\) raised ZeroDivisionError: of the user .* in crash"),
        ({"reset": crash}, r"copy 0: reset\(\) raised ZeroDivisionError: of the user .* in crash"),
        ({"reward": None}, "copy 0, agent 'a_0': its reward is None"),
        ({"over": "no"}, "copy 0: terminated of 'a_0' is 'no'; it must be True or False"),
    ],
)
def test_mistakes_of_a_pettingzoo_environment_are_sentences(odd, sentence):
    with pytest.raises(UnityException, match=f"(?s)pettingzoo:.*{sentence}"):
        play(PettingZooEnv(Field(**odd), name="field"))


def test_an_episode_without_agents_now_and_then_is_begun_again():
    env = Field()
    empty = iter([[], [], ["a_0"]])
    env.reset = lambda seed=None: setattr(env, "agents", next(empty)) or ({"a_0": np.zeros(2)}, {})
    wrapped = PettingZooEnv(env, name="field")
    wrapped.reset()
    assert len(wrapped.get_steps("a?team=0")[0]) == 1


# shared memory

SPEC = BehaviorSpec(
    [ObservationSpec((2**18,), (DimensionProperty.NONE,), ObservationType.DEFAULT, "s")], ActionSpec(1, ())
)


@pytest.mark.skipif(not blocks.SHARED.is_dir(), reason="only Linux keeps shared memory in a folder")
def test_shared_memory_that_cannot_be_had_is_a_sentence_and_leaves_no_name(monkeypatch):
    before = set(blocks.SHARED.iterdir())

    def full(descriptor, offset, size):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(blocks.os, "posix_fallocate", full)
    with pytest.raises(NoRoom, match=r"needs 16.0 MiB of shared memory \(No space .*has .* MiB left.*--shm-size"):
        Block.make(SPEC, 1)
    assert not [file for file in set(blocks.SHARED.iterdir()) - before if file.stat().st_size == 2**24]


TINY = """
import subprocess, sys
sys.path.insert(0, sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/dev/shm"], check=True)
import test_foreign_faults as faults
try:
    faults.Block.make(faults.SPEC, 1)
except faults.NoRoom as error:
    print(error)
"""


def test_a_container_with_little_shared_memory_gets_a_sentence_instead_of_a_bus_error():
    command = ["unshare", "--mount", sys.executable, "-W", "ignore", "-c", TINY, str(Path(__file__).parent)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    except FileNotFoundError:
        pytest.skip("there is no unshare here")
    if "mount" in done.stderr or "unshare" in done.stderr:
        pytest.skip("this user may not mount")
    assert "needs 16.0 MiB of shared memory" in done.stdout, done.stderr
    assert "of 1.0 MiB left" in done.stdout
