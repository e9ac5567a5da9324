import subprocess
import sys
import types

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from mlagents.adapters.gymnasium import GymnasiumEnv, check_id
from mlagents.adapters.spaces import action_mapping, encode_observation, forbidden_actions, sensors
from mlagents.envs.local import LocalPool
from mlagents_envs.base_env import ActionSpec, ActionTuple
from mlagents_envs.envs.unity_gym_env import UnityToGymWrapper
from mlagents_envs.envs.unity_vector_env import UnityVectorEnv
from mlagents_envs.exception import UnityActionException, UnityEnvironmentException, UnityObservationException


class Scripted(gymnasium.Env):
    """Any spaces; shows sampled observations and ends or is cut after three steps."""

    def __init__(self, seen=None, acts=None, *, cut=False, mask=None):
        self.observation_space = spaces.Box(-1, 1, (2,), np.float32) if seen is None else seen
        self.action_space = spaces.Discrete(2) if acts is None else acts
        self.cut, self.mask = cut, mask
        self.heard, self.seeds, self.closed = [], [], False

    def reset(self, *, seed=None, options=None):
        self.clock = 0
        self.seeds.append(seed)
        return self._see()

    def step(self, action):
        assert self.action_space.contains(action), f"{action!r} is not in {self.action_space}"
        self.heard.append(action)
        self.clock += 1
        seen, info = self._see()
        over = self.clock == 3
        return seen, float(self.clock), over and not self.cut, over and self.cut, info

    def _see(self):
        return self.observation_space.sample(), {} if self.mask is None else {"action_mask": self.mask}

    def close(self):
        self.closed = True


def one(env, **options):
    env = GymnasiumEnv(env, **options)
    env.reset()
    return env


def test_a_face_around_it_is_the_environment_itself_step_for_step():
    face = UnityToGymWrapper(GymnasiumEnv.make("CartPole-v1", copies=1))
    itself = gymnasium.make("CartPole-v1")
    chance = np.random.default_rng(0)
    for episode in range(4):
        seed = 7 if episode == 0 else None
        seen, same = face.reset(seed=seed)[0], itself.reset(seed=seed)[0]
        over = False
        while not over:
            assert np.array_equal(seen, same)
            action = int(chance.integers(2))
            seen, *one = face.step(action)
            same, *other = itself.step(action)
            assert one[:3] == other[:3]
            over = one[1] or one[2]
        assert np.array_equal(seen, same)


def test_lanes_around_it_are_gymnasiums_own_vector_environment():
    face = UnityVectorEnv(GymnasiumEnv.make("CartPole-v1", copies=4))
    itself = SyncVectorEnv([lambda: gymnasium.make("CartPole-v1")] * 4, autoreset_mode=AutoresetMode.SAME_STEP)
    assert face.action_space == itself.action_space
    seen, same = face.reset(seed=3)[0], itself.reset(seed=3)[0]
    chance = np.random.default_rng(0)
    for _ in range(80):
        assert np.array_equal(seen, same)
        action = chance.integers(0, 2, 4)
        seen, *one, info = face.step(action)
        same, *other, same_info = itself.step(action)
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
        assert ("final_obs" in info) == ("final_obs" in same_info)
        for a, b in zip(info.get("final_obs", ()), same_info.get("final_obs", ()), strict=True):
            assert np.array_equal(a, b)


def test_copies_are_agents_of_a_behavior_with_the_name_of_the_id():
    env = GymnasiumEnv.make("CartPole-v1")
    spec = env.behavior_specs["CartPole?team=0"]
    assert spec.action_spec == ActionSpec(0, (2,))
    assert [sensor.shape for sensor in spec.observation_specs] == [(4,)]
    env.reset()
    decision, terminal = env.get_steps(env.behavior)
    assert decision.agent_id.tolist() == list(range(8)) and len(terminal) == 0
    assert len(np.unique(decision.obs[0], axis=0)) == 8  # each copy has its own seed


@pytest.mark.parametrize("cut", [False, True])
def test_an_end_and_the_next_beginning_come_in_one_step(cut):
    env = one(lambda: Scripted(cut=cut), copies=2)
    for _ in range(2):
        env.step()
    decision, _ = env.get_steps(env.behavior)
    assert decision.reward.tolist() == [2, 2]
    env.step()
    decision, terminal = env.get_steps(env.behavior)
    assert terminal.agent_id.tolist() == decision.agent_id.tolist() == [0, 1]
    assert terminal.reward.tolist() == [3, 3] and decision.reward.tolist() == [0, 0]
    assert terminal.interrupted.tolist() == [cut, cut]
    env.step()
    assert len(env.get_steps(env.behavior)[1]) == 0


def test_only_the_first_reset_of_a_copy_is_seeded_and_a_fresh_episode_is_kept():
    made = []

    def make():
        made.append(Scripted())
        return made[-1]

    env = one(make, copies=2, seed=5)
    before = env.get_steps(env.behavior)[0]
    env.reset()
    after = env.get_steps(env.behavior)[0]
    assert [env.seeds for env in made] == [[5], [6]]
    assert np.array_equal(before.obs[0], after.obs[0])
    assert after.agent_id.tolist() == before.agent_id.tolist() == [0, 1]
    env.step()
    env.reset()
    assert made[1].seeds == [6, None]
    env.set_seed(9)
    env.reset()
    assert made[1].seeds == [6, None, 10]
    env.close()
    assert all(env.closed for env in made)


OBSERVATIONS = [
    (spaces.Box(-1, 1, (), np.float64), 0.5, [(1,)], [[0.5]]),
    (spaces.Box(-1, 1, (2,), np.float64), [0.5, 1], [(2,)], [[0.5, 1]]),
    (spaces.Box(-1, 1, (2, 2)), [[1, 2], [3, 4]], [(4,)], [[1, 2, 3, 4]]),
    (spaces.Discrete(3, start=2), 3, [(3,)], [[0, 1, 0]]),
    (spaces.MultiBinary(3), [1, 0, 1], [(3,)], [[1, 0, 1]]),
    (spaces.MultiDiscrete([2, 3], start=[0, 1]), [1, 1], [(5,)], [[0, 1, 1, 0, 0]]),
    (spaces.Tuple([spaces.Discrete(2), spaces.Box(-1, 1, (1,))]), (1, [0.5]), [(2,), (1,)], [[0, 1], [0.5]]),
]


@pytest.mark.parametrize(("space", "value", "shapes", "numbers"), OBSERVATIONS)
def test_observations_become_numbers(space, value, shapes, numbers):
    parts = sensors(space, "here")
    assert [sensor.spec.shape for sensor in parts] == shapes
    got = encode_observation(parts, value, "here")
    assert [column.tolist() for column in got] == numbers
    assert all(column.dtype == np.float32 for column in got)


@pytest.mark.parametrize(
    ("shape", "sensor"),
    [((210, 160, 3), (3, 210, 160)), ((4, 84, 84), (4, 84, 84)), ((84, 84, 12), (12, 84, 84)), ((6, 7), (1, 6, 7))],
)
def test_images_come_channels_first_between_zero_and_one(shape, sensor):
    space = spaces.Box(0, 255, shape, np.uint8)
    value = space.sample()
    (part,) = sensors(space, "here")
    (image,) = encode_observation([part], value, "here")
    assert part.spec.shape == image.shape == sensor
    assert image.min() >= 0 and 0.5 < image.max() <= 1
    if len(shape) == 3 and shape[2] == 3:
        assert image[1, 5, 7] == pytest.approx(value[5, 7, 1] / 255)


@pytest.mark.parametrize("shape", [(16, 16), (16, 8, 3), (3, 16, 16)])
def test_pixels_become_the_same_parts_of_255_as_in_a_png(shape):
    space = spaces.Box(0, 255, shape, np.uint8)
    value = np.arange(np.prod(shape)).astype(np.uint8).reshape(shape)
    (image,) = encode_observation(sensors(space, "here"), value, "here")
    assert set(image.ravel()) == set(np.arange(256, dtype=np.float32) / np.float32(255))


def test_parts_of_an_observation_are_named_by_their_keys():
    space = spaces.Dict({"eye": spaces.Box(0, 255, (8, 8, 3), np.uint8), "in": spaces.Tuple([spaces.Discrete(2)])})
    env = one(Scripted(space))
    assert [sensor.name for sensor in env.behavior_specs[env.behavior].observation_specs] == ["eye", "in.0"]
    assert [column.shape for column in env.get_steps(env.behavior)[0].obs] == [(1, 3, 8, 8), (1, 2)]


BOX = spaces.Box(np.array([0, -np.inf, -2], np.float32), np.array([10, np.inf, np.inf], np.float32))
ACTIONS = [
    (spaces.Discrete(3, start=-1), (0, (3,)), [], [2], 1),
    (spaces.MultiDiscrete([2, 3], start=[5, 0]), (0, (2, 3)), [], [1, 2], [6, 2]),
    (BOX, (3, ()), [0, 7, -9], [], [5, 7, -2]),
    (BOX, (3, ()), [3, -7, 9], [], [10, -7, 9]),
    (spaces.Box(-4, 4, (2,), np.int32), (2, ()), [0.3, -1], [], [1, -4]),
    (spaces.Tuple([spaces.Box(0, 2, (1,)), spaces.Discrete(2)]), (1, (2,)), [0.5], [1], ([1.5], 1)),
]


@pytest.mark.parametrize(("space", "spec", "continuous", "discrete", "action"), ACTIONS)
def test_answers_become_actions(space, spec, continuous, discrete, action):
    can = action_mapping(space, "here")
    assert can.spec == ActionSpec(*spec)
    got = can.decode(np.array(continuous, np.float32), np.array(discrete, np.int32))
    assert space.contains(got)
    pairs = zip(got, action, strict=True) if isinstance(action, tuple) else [(got, action)]
    assert all(np.array_equal(one, other) for one, other in pairs)


def test_a_dict_of_actions_is_answered_by_its_keys():
    space = spaces.Dict({"move": spaces.Box(-1, 1, (2,)), "use": spaces.MultiDiscrete([2, 2])})
    scripted = Scripted(acts=space)
    env = one(scripted)
    env.set_actions(env.behavior, ActionTuple(np.array([[0.5, -1]]), np.array([[1, 0]])))
    env.step()
    assert scripted.heard[0]["move"].tolist() == [0.5, -1]
    assert scripted.heard[0]["use"].tolist() == [1, 0]


def test_masks_of_the_info_are_obeyed():
    env = one(Scripted(acts=spaces.Discrete(3), mask=np.array([1, 0, 1], np.int8)))
    (branch,) = env.get_steps(env.behavior)[0].action_mask
    assert branch.tolist() == [[False, True, False]]
    hybrid = spaces.Tuple([spaces.Box(-1, 1, (1,)), spaces.MultiDiscrete([2, 2])])
    env = one(Scripted(acts=hybrid, mask=(None, (np.array([1, 0]), np.array([0, 1])))))
    assert [branch.tolist() for branch in env.get_steps(env.behavior)[0].action_mask] == [
        [[False, True]],
        [[True, False]],
    ]
    assert one(Scripted()).get_steps("Scripted?team=0")[0].action_mask is None
    assert forbidden_actions(np.ones(3), ActionSpec(2, ()), "here") is None
    with pytest.raises(UnityEnvironmentException, match="mask has 2 entries; branches of"):
        one(Scripted(acts=spaces.Discrete(3), mask=np.ones(2)))


def test_an_agent_can_be_answered_alone():
    made = [Scripted(), Scripted()]
    env = one(iter(made).__next__, copies=2)
    env.set_action_for_agent(env.behavior, 1, ActionTuple(discrete=np.array([[1]])))
    env.step()
    assert [int(env.heard[0]) for env in made] == [0, 1]
    with pytest.raises(IndexError, match="agent 9 does not wait"):
        env.set_action_for_agent(env.behavior, 9, ActionTuple(discrete=np.array([[1]])))


def test_misuse_gets_a_sentence():
    env = GymnasiumEnv(Scripted())
    with pytest.raises(UnityEnvironmentException, match=r"gym:Scripted was not reset yet: call reset\(\)"):
        env.get_steps(env.behavior)
    env.step()  # the first step begins
    with pytest.raises(UnityActionException, match=r"no behavior 'Goat'; it has 'Scripted\?team=0'"):
        env.get_steps("Goat")
    with pytest.raises(UnityActionException, match=r"shape \(2, 0\); 1 agents need \(1, 0\)"):
        env.set_actions(env.behavior, ActionTuple(discrete=np.zeros((2, 1))))
    with pytest.raises(UnityEnvironmentException, match="copies is 3, but one environment was given"):
        GymnasiumEnv(Scripted(), copies=3)
    with pytest.raises(UnityEnvironmentException, match="copies is 0; there must be at least 1"):
        GymnasiumEnv.make("CartPole-v1", 0)


def test_spaces_without_a_counterpart_get_a_sentence():
    words = spaces.Text(5)
    with pytest.raises(UnityEnvironmentException, match=r"gym:Scripted: observation space Text.* is not supported"):
        GymnasiumEnv(Scripted(words))
    with pytest.raises(UnityEnvironmentException, match=r"observation space Box.* is not supported"):
        GymnasiumEnv(Scripted(spaces.Box(0, 1, (2, 2, 2, 2))))
    with pytest.raises(UnityEnvironmentException, match=r"action space Text.* is not supported"):
        GymnasiumEnv(Scripted(acts=spaces.Dict({"say": words})))
    with pytest.raises(UnityObservationException, match=r"'observation' has shape \(3,\) as a sensor; .* \(2,\)"):
        encode_observation(sensors(spaces.Box(-1, 1, (2,)), "here"), np.zeros(3), "here")


@pytest.mark.parametrize(
    ("id", "sentence"),
    [
        ("CartPol-v1", "no such environment; did you mean CartPole-v1"),
        ("FrozenLake-v0", "did you mean FrozenLake-v1"),
        ("", "pprint_registry"),
        ("no_such_module:Env-v0", "module 'no_such_module' cannot be imported"),
    ],
)
def test_unknown_ids_get_a_sentence_with_near_ones(id, sentence):
    for ask in (check_id, GymnasiumEnv.make):
        with pytest.raises(UnityEnvironmentException, match=f"^gym:{id}: .*{sentence}"):
            ask(id)


def test_an_environment_that_cannot_be_made_gets_a_sentence(monkeypatch):
    def make():
        raise gymnasium.error.DependencyNotInstalled("MuJoCo is not installed")

    monkeypatch.setitem(gymnasium.registry, "Lost-v0", gymnasium.envs.registration.EnvSpec("Lost-v0", entry_point=make))
    check_id("Lost-v0")
    with pytest.raises(UnityEnvironmentException, match="gym:Lost-v0: it cannot be made: MuJoCo is not installed"):
        GymnasiumEnv.make("Lost-v0")


def test_an_id_may_bring_the_module_that_registers_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "my_worlds", types.ModuleType("my_worlds"))
    spec = gymnasium.envs.registration.EnvSpec("mine/Toy-v3", entry_point=Scripted)
    monkeypatch.setitem(gymnasium.registry, "mine/Toy-v3", spec)
    assert GymnasiumEnv.make("my_worlds:mine/Toy-v3", 2).behavior == "Toy?team=0"


def test_it_is_an_environment_for_training():
    pool = LocalPool(GymnasiumEnv.make("CartPole-v1", 3))
    pool.reset()
    batch = pool.recv()["CartPole?team=0"]
    assert batch.obs[0].shape == (3, 4) and batch.mask.all()


def run(program):
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


def test_checking_loads_no_torch():
    assert (
        run("""
import sys
from mlagents.adapters.gymnasium import GymnasiumEnv, check_id
import mlagents.adapters.pettingzoo
check_id("CartPole-v1")
print("torch" in sys.modules)
""").strip()
        == "False"
    )


@pytest.mark.parametrize("module", ["gymnasium", "pettingzoo"])
def test_without_gymnasium_there_is_a_sentence(module):
    assert "mlagents-envs[gym]" in run(f"""
import sys
from mlagents_envs.exception import UnityEnvironmentException
sys.modules["gymnasium"] = None  # as if it were not installed
try:
    import mlagents.adapters.{module}
except UnityEnvironmentException as error:
    print(error)
""")
