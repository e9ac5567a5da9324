import sys
import types

import numpy as np
import pytest
from gymnasium import spaces
from pettingzoo import ParallelEnv
from pettingzoo.test.example_envs import generated_agents_parallel_v0
from pettingzoo.utils.conversions import parallel_to_aec

from mlagents.adapters.pettingzoo import PettingZooEnv, agent_type, check_module
from mlagents_envs.base_env import ActionSpec, ActionTuple
from mlagents_envs.envs.unity_parallel_env import UnityParallelEnv
from mlagents_envs.exception import UnityActionException, UnityEnvironmentException

MASKED = spaces.Dict(
    {"observation": spaces.Box(0, 9, (2,), np.float32), "action_mask": spaces.Box(0, 1, (3,), np.int8)}
)
SPACES = {
    "wolf_0": (spaces.Box(0, 9, (2,), np.float32), spaces.Discrete(2)),
    "wolf_1": (spaces.Box(0, 9, (2,), np.float32), spaces.Discrete(2)),
    "sheep_0": (MASKED, spaces.Discrete(3)),
    "sheep_1": (spaces.Box(0, 9, (2,), np.float32), spaces.Box(0, 4, (1,), np.float32)),
}
LIFE = {"wolf_0": 2, "wolf_1": 3, "sheep_0": 3, "sheep_1": 3}


class Meadow(ParallelEnv):
    """Agents see (their number, the clock), earn their number, and leave at a step of their own; sheep are cut."""

    metadata = {"name": "meadow_v0", "is_parallelizable": True}
    render_mode = None

    def __init__(self):
        self.possible_agents = list(SPACES)
        self.seeds, self.heard, self.closed = [], [], False

    def observation_space(self, agent):
        return SPACES[agent][0]

    def action_space(self, agent):
        return SPACES[agent][1]

    def reset(self, seed=None, options=None):
        self.seeds.append(seed)
        self.clock = 0
        self.agents = list(SPACES)
        return {agent: self._see(agent) for agent in self.agents}, {agent: {} for agent in self.agents}

    def step(self, actions):
        assert list(actions) == self.agents
        assert all(self.action_space(agent).contains(action) for agent, action in actions.items())
        self.heard.append(actions)
        self.clock += 1
        before, over = self.agents, {agent: self.clock == LIFE[agent] for agent in self.agents}
        self.agents = [agent for agent in before if not over[agent]]
        return (
            {agent: self._see(agent) for agent in before},
            {agent: float(list(SPACES).index(agent)) for agent in before},
            {agent: over[agent] and agent.startswith("wolf") for agent in before},
            {agent: over[agent] and agent.startswith("sheep") for agent in before},
            {agent: {} for agent in before},
        )

    def _see(self, agent):
        seen = np.array([list(SPACES).index(agent), self.clock], np.float32)
        return {"observation": seen, "action_mask": np.array([0, 1, 1], np.int8)} if agent == "sheep_0" else seen

    def close(self):
        self.closed = True


WOLF, SHEEP, SHEEP_2 = "wolf?team=0", "sheep?team=0", "sheep_2?team=0"


def test_agents_of_a_type_share_a_behavior_unless_their_spaces_differ():
    specs = PettingZooEnv(Meadow()).behavior_specs
    assert {name: spec.action_spec for name, spec in specs.items()} == {
        WOLF: ActionSpec(0, (2,)),
        SHEEP: ActionSpec(0, (3,)),
        SHEEP_2: ActionSpec(1, ()),
    }
    assert [sensor.shape for sensor in specs[SHEEP].observation_specs] == [(2,)]
    assert [agent_type(name) for name in ("piston_12", "first_0", "speaker", "a_b_1")] == [
        "piston",
        "first",
        "speaker",
        "a_b",
    ]
    together = PettingZooEnv(Meadow(), type_of=lambda agent: "animal")
    assert list(together.behavior_specs) == ["animal?team=0", "animal_2?team=0", "animal_3?team=0"]


def test_agents_leave_early_and_the_next_episode_begins_when_all_have_gone():
    env = PettingZooEnv(Meadow())
    env.reset()
    assert env.get_steps(WOLF)[0].agent_id.tolist() == [0, 1]
    env.step()
    env.step()
    asking, ended = env.get_steps(WOLF)
    assert (asking.agent_id.tolist(), ended.agent_id.tolist()) == ([1], [0])
    assert ended.obs[0].tolist() == [[0, 2]] and not ended.interrupted[0]
    assert asking.reward.tolist() == [1]
    assert len(env.get_steps(SHEEP)[0]) == 1
    env.step()
    asking, ended = env.get_steps(WOLF)
    assert (asking.agent_id.tolist(), ended.agent_id.tolist()) == ([0, 1], [1])  # as they were called before
    assert asking.obs[0].tolist() == [[0, 0], [1, 0]]
    assert asking.reward.tolist() == [0, 0]
    assert env.get_steps(SHEEP_2)[1].interrupted.tolist() == [True]
    assert env.get_steps(SHEEP_2)[1].reward.tolist() == [3]
    assert env.get_steps(WOLF)[0].group_id.tolist() == [0, 0]


def test_agents_of_each_copy_keep_their_ids_over_episodes_and_resets():
    env = PettingZooEnv(Meadow, copies=2)
    for _ in range(2):
        env.reset()
        seen = {name: set() for name in (WOLF, SHEEP, SHEEP_2)}
        for _ in range(7):
            for name, ids in seen.items():
                for steps in env.get_steps(name):
                    ids.update(steps.agent_id.tolist())
            env.step()
        assert seen == {WOLF: {0, 1, 4, 5}, SHEEP: {2, 6}, SHEEP_2: {3, 7}}
        assert env.get_steps(WOLF)[0].obs[0][:, 0].tolist() == [0, 1] * 2
        assert env.get_steps(WOLF)[0].agent_id.tolist() == [0, 1, 4, 5]  # the same agents of the same copies


def test_answers_reach_the_agents_that_asked_in_every_copy():
    made = [Meadow(), Meadow()]
    env = PettingZooEnv(iter(made).__next__, copies=2)
    env.reset()
    env.step()
    env.step()  # one wolf of each copy has gone
    env.set_actions(WOLF, ActionTuple(discrete=np.array([[1], [0]])))
    env.set_actions(SHEEP, ActionTuple(discrete=np.array([[1], [2]])))
    env.set_actions(SHEEP_2, ActionTuple(np.array([[-1.0], [0.5]])))
    env.step()
    one, other = (meadow.heard[-1] for meadow in made)
    assert (one["wolf_1"], one["sheep_0"], one["sheep_1"].tolist()) == (1, 1, [0])
    assert (other["wolf_1"], other["sheep_0"], other["sheep_1"].tolist()) == (0, 2, [3])


def test_masks_of_observations_and_of_infos_are_obeyed():
    env = PettingZooEnv(Meadow())
    env.reset()
    assert [branch.tolist() for branch in env.get_steps(SHEEP)[0].action_mask] == [[[True, False, False]]]
    assert env.get_steps(WOLF)[0].action_mask is None

    class Informed(Meadow):
        def reset(self, seed=None, options=None):
            seen, infos = super().reset(seed, options)
            return seen, {**infos, "wolf_1": {"action_mask": np.array([1, 0], np.int8)}}

    env = PettingZooEnv(Informed())
    env.reset()
    assert env.get_steps(WOLF)[0].action_mask[0].tolist() == [[False, False], [False, True]]


def test_seeds_follow_one_by_one_and_a_fresh_episode_is_kept():
    made = [Meadow(), Meadow()]
    env = PettingZooEnv(iter(made).__next__, copies=2, seed=4)
    env.reset()
    env.reset()
    assert [meadow.seeds for meadow in made] == [[4], [5]]
    env.set_seed(8)
    env.reset()
    env.step()
    env.reset()
    assert made[1].seeds == [5, 9, None]
    env.close()
    assert all(meadow.closed for meadow in made)


def test_a_face_around_it_plays_the_same_episode():
    face, itself = UnityParallelEnv(PettingZooEnv(Meadow())), Meadow()
    kinds = [name for kind in ("wolf", "sheep") for name in SPACES if kind in name]
    names = dict(zip(face.possible_agents, kinds, strict=True))
    for step in range(9):
        if step % 3 == 0:  # all have gone
            assert not step or face.agents == []
            face.reset()
            itself.reset()
            assert face.agents == face.possible_agents == list(names)
        actions = {names[agent]: face.action_space(agent).sample() for agent in face.agents}
        theirs = {**actions, "sheep_1": np.array([2 + 2 * actions["sheep_1"][0]], np.float32)}  # of [-1, 1] to [0, 4]
        seen, rewards, terminations, truncations, _ = face.step({agent: actions[names[agent]] for agent in face.agents})
        same = itself.step({name: theirs[name] for name in itself.agents})
        for agent, name in names.items():
            if name not in same[0]:
                continue
            assert rewards[agent] == same[1][name]
            assert (terminations[agent], truncations[agent]) == (same[2][name], same[3][name])
            mine, other = seen[agent], same[0][name]
            mine = mine["observation"] if isinstance(mine, dict) else mine
            other = other["observation"] if isinstance(other, dict) else other
            assert np.array_equal(mine, other)


def test_agents_and_types_that_appear_while_playing_are_welcome():
    env = PettingZooEnv(generated_agents_parallel_v0.parallel_env())
    assert not env.behavior_specs
    env.set_seed(0)
    env.reset()
    first = set(env.behavior_specs)
    for _ in range(80):
        env.step()
    assert first < set(env.behavior_specs)
    assert all(name.startswith("type") for name in env.behavior_specs)


@pytest.fixture
def module(monkeypatch):
    """A function that puts a module into the world for the time of a test."""

    def put(name, **content):
        made = types.ModuleType(name)
        made.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, made)

    return put


def test_a_module_names_the_environment(module):
    module("meadow_v0", parallel_env=Meadow)
    module("meadow_aec_v0", env=lambda: parallel_to_aec(Meadow()))
    for name in ("meadow_v0", "meadow_aec_v0"):
        check_module(name)
        env = PettingZooEnv.make(name, 2, seed=1)
        env.reset()
        assert len(env.get_steps(WOLF)[0]) == 4


def turn_based():
    env = parallel_to_aec(Meadow())
    env.metadata["is_parallelizable"] = False
    return env


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", "that is no module name"),
        ("a b", "that is no module name"),
        ("no_such_module_anywhere", "there is no such module$"),
        ("pettingzoo.butterfly.pistonball_v5", "there is no such module; did you mean pistonball_v6"),
        ("broken_v0", "neither parallel_env nor env"),
    ],
)
def test_modules_that_make_nothing_get_a_sentence(module, name, sentence):
    module("broken_v0")
    for ask in (check_module, PettingZooEnv.make):
        with pytest.raises(UnityEnvironmentException, match=f"^pettingzoo:{name}: .*{sentence}"):
            ask(name)


def test_a_module_whose_own_imports_fail_says_which(tmp_path, monkeypatch):
    (tmp_path / "needy_v0.py").write_text("import no_such_physics")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        UnityEnvironmentException, match="needy_v0: it cannot be imported: No module named 'no_such_physics'"
    ):
        check_module("needy_v0")
    monkeypatch.setitem(sys.modules, "pettingzoo", None)
    (tmp_path / "wanting_v0.py").write_text("import pettingzoo")
    with pytest.raises(UnityEnvironmentException, match=r"mlagents-envs\[pettingzoo\]"):
        check_module("wanting_v0")


def test_misuse_gets_a_sentence(module):
    module("turns_v0", env=turn_based)
    with pytest.raises(UnityEnvironmentException, match="pettingzoo:turns_v0: its agents act in turn"):
        PettingZooEnv.make("turns_v0")
    env = PettingZooEnv(Meadow())
    with pytest.raises(UnityEnvironmentException, match="was not reset yet"):
        env.get_steps(WOLF)
    env.step()
    with pytest.raises(UnityActionException, match=r"no behavior 'goat'; it has 'wolf\?team=0', 'sheep"):
        env.set_actions("goat", ActionTuple(discrete=np.zeros((1, 1))))
    with pytest.raises(UnityEnvironmentException, match="copies is 2, but one environment was given"):
        PettingZooEnv(Meadow(), copies=2)
    with pytest.raises(UnityEnvironmentException, match="copies is 0"):
        PettingZooEnv(Meadow, copies=0)

    class Speaking(Meadow):
        def action_space(self, agent):
            return spaces.Text(3)

    with pytest.raises(UnityEnvironmentException, match=r"agent 'wolf_0': action space Text.* is not supported"):
        PettingZooEnv(Speaking)
