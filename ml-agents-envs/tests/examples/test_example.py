import numpy as np
import pytest

from mlagents_envs.base_env import ActionSpec, ActionTuple, BehaviorSpec
from mlagents_envs.examples.example import ExampleEnv, vector_sensor
from mlagents_envs.exception import UnityActionException, UnityEnvironmentException

RED, BLUE = "Duel?team=0", "Duel?team=1"


class Duel(ExampleEnv):
    """Two agents per area see their row; episodes of area 0 end with every decision, and its agents change sides."""

    NAME = "Duel"
    AREAS = 3
    PER_AREA = 2
    BEHAVIORS = (RED, BLUE)
    GROUPED = True
    SPEC = BehaviorSpec([vector_sensor(1, "row")], ActionSpec.create_hybrid(1, (2, 3)))

    def __init__(self, **options):
        super().__init__(**options)
        self._behavior_index = np.tile([0, 1], self.areas)
        self._group = np.arange(1, self.n + 1, dtype=np.int32)

    def _see(self):
        return [np.arange(self.n, dtype=np.float32)[:, None]]

    def _begin(self):
        return self._see()

    def _decide(self, action):
        self.received = action
        done = np.arange(self.n) < 2
        self._behavior_index[:2] = self._behavior_index[1::-1]
        self._group[:2] += 100
        reward = np.arange(self.n, dtype=np.float32)
        return self._see(), reward, done, np.zeros(self.n, bool), [column + 10 for column in self._see()]

    def _group_reward(self):
        return np.full(self.n, 0.5, np.float32)

    def _allowed(self):
        allowed = np.ones((self.n, 5), bool)
        allowed[4, 3] = False
        return allowed


class IdlePolicy(Duel):
    NAME = "Still"


@pytest.fixture
def env():
    env = Duel()
    env.reset()
    return env


def test_each_behavior_has_its_own_rows_of_the_table(env):
    assert list(env.behavior_specs) == [RED, BLUE]
    for name, rows in ((RED, [0, 2, 4]), (BLUE, [1, 3, 5])):
        decision, terminal = env.get_steps(name)
        assert decision.obs[0][:, 0].tolist() == rows
        assert decision.agent_id.tolist() == rows
        assert decision.group_id.tolist() == [row + 1 for row in rows]
        assert len(terminal) == 0


def test_a_subclass_with_a_name_of_its_own_and_no_behaviors_has_one_of_team_0():
    assert IdlePolicy.BEHAVIORS == ("Still?team=0",)
    assert Duel.BEHAVIORS == (RED, BLUE)


def test_answers_of_all_behaviors_reach_their_rows_and_silence_is_zeros(env):
    env.set_actions(BLUE, ActionTuple(np.array([[1.0], [3.0], [5.0]]), np.full((3, 2), 1)))
    env.set_action_for_agent(RED, 2, ActionTuple(np.array([[2.0]]), np.array([[0, 2]])))
    env.step()
    assert env.received.continuous[:, 0].tolist() == [0, 1, 2, 3, 0, 5]
    assert env.received.discrete.tolist() == [[0, 0], [1, 1], [0, 2], [1, 1], [0, 0], [1, 1]]


def test_an_answer_is_copied_so_that_it_can_be_used_again(env):
    given = np.zeros((3, 1), np.float32)
    env.set_actions(RED, ActionTuple(given, np.zeros((3, 2), np.int32)))
    env.set_action_for_agent(RED, 0, ActionTuple(np.array([[9.0]]), np.array([[0, 0]])))
    assert not given.any()


def test_the_end_is_told_by_the_behavior_and_group_in_which_the_agent_lived(env):
    env.step()
    decision, terminal = env.get_steps(RED)
    assert (terminal.agent_id.tolist(), terminal.group_id.tolist()) == ([0], [1])
    assert (terminal.obs[0].tolist(), terminal.reward.tolist(), terminal.group_reward.tolist()) == ([[10]], [0], [0.5])
    assert env.get_steps(BLUE)[1].reward.tolist() == [1]
    assert decision.obs[0][:, 0].tolist() == [1, 2, 4]  # row 1 has changed sides
    assert decision.agent_id.tolist() == [1, 2, 4]
    assert decision.group_id.tolist() == [102, 3, 5]
    assert decision.reward.tolist() == [0, 2, 4]
    assert decision.group_reward.tolist() == [0, 0.5, 0.5]


def test_masks_are_given_per_branch_with_true_for_forbidden(env):
    first, second = env.get_steps(RED)[0].action_mask
    assert first.shape == (3, 2)
    assert not first.any()
    assert second.tolist() == [[False] * 3, [False] * 3, [False, True, False]]


def test_an_agent_keeps_its_id_under_another_behavior(env):
    for red in ([1, 2, 4], [0, 2, 4], [1, 2, 4]):
        before = env.get_steps(RED)[0].agent_id.tolist()
        env.step()
        decision, terminal = env.get_steps(RED)
        assert terminal.agent_id.tolist() == before[:1]
        assert decision.agent_id.tolist() == red
        assert decision.obs[0][:, 0].tolist() == red
    env.reset()
    assert env.get_steps(RED)[0].agent_id.tolist() == [1, 2, 4]


def test_on_demand_each_episode_has_an_id_of_its_own():
    env = Duel(renew_ids=True)
    env.reset()
    env.step()
    assert env.get_steps(RED)[0].agent_id.tolist() == [7, 2, 4]
    assert env.get_steps(BLUE)[0].agent_id.tolist() == [6, 3, 5]
    env.reset()
    assert env.get_steps(RED)[0].agent_id.tolist() == [9, 10, 12]


@pytest.mark.parametrize(("renew_ids", "ids"), [(False, [0, 1, 5, 6, 3, 4]), (True, [8, 9, 7, 10, 3, 4])])
def test_who_comes_where_nobody_was_is_a_new_agent(renew_ids, ids):
    env = Duel(renew_ids=renew_ids)
    env._behavior_index[2] = env.NO_AGENT
    env.reset()
    assert env.get_steps(BLUE)[0].agent_id.tolist() == [1, 2, 4]  # ids are given to those who live, in order
    env._behavior_index[2:4] = 0, env.NO_AGENT  # one comes, one goes
    env.step()
    env._behavior_index[3] = 1
    env.step()
    by_row = np.full(6, -1)
    for behavior in (RED, BLUE):
        by_row[env.asking_rows(behavior)] = env.get_steps(behavior)[0].agent_id
    assert by_row.tolist() == ids


@pytest.mark.parametrize("renew_ids", [False, True])
def test_the_table_says_which_rows_ask_and_which_ended(renew_ids):
    env = Duel(renew_ids=renew_ids)
    with pytest.raises(UnityEnvironmentException, match="not reset yet"):
        env.asking_rows(RED)
    env.reset()
    assert not env.any_ended
    assert (env.asking_rows(RED).tolist(), env.ended_rows(RED).tolist()) == ([0, 2, 4], [])
    env.step()
    assert env.any_ended
    assert (env.asking_rows(RED).tolist(), env.ended_rows(RED).tolist()) == ([1, 2, 4], [0])
    assert (env.asking_rows(BLUE).tolist(), env.ended_rows(BLUE).tolist()) == ([0, 3, 5], [1])
    assert [env.behavior_of(row) for row in range(3)] == [BLUE, RED, RED]
    env._behavior_index[2] = env.NO_AGENT
    assert env.behavior_of(2) == ""
    env.reset()
    assert not env.any_ended and not len(env.ended_rows(RED))


def test_a_row_of_nobody_is_not_asked(env):
    env._behavior_index[4] = env.NO_AGENT
    env.step()
    assert env.get_steps(RED)[0].obs[0][:, 0].tolist() == [1, 2]
    with pytest.raises(UnityActionException, match="2 agents need"):
        env.set_actions(RED, ActionTuple(np.zeros((3, 1)), np.zeros((3, 2))))


def test_a_behavior_that_is_not_there_gets_a_sentence(env):
    with pytest.raises(
        UnityActionException, match=r"Duel has no behavior 'Duel'; it has 'Duel\?team=0', 'Duel\?team=1'"
    ):
        env.get_steps("Duel")
