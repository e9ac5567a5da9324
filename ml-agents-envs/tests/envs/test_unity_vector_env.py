import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import DictInfoToList, RecordEpisodeStatistics

from mlagents_envs.base_env import ActionTuple
from mlagents_envs.envs.unity_gym_env import UnityGymException
from mlagents_envs.envs.unity_vector_env import UnityVectorEnv
from mlagents_envs.examples.catalog import make
from mlagents_envs.examples.paced import PacedEnv

GUARD, SCOUT, GUIDE = "Guard?team=0", "Scout?team=0", "Guide?team=1"


@pytest.mark.parametrize("renew_ids", [False, True])
def test_lanes_say_what_the_environment_says(renew_ids):
    face, scripted = (make("3DBall", areas=5, seed=2, renew_ids=renew_ids) for _ in range(2))
    face = UnityVectorEnv(face)
    scripted.reset()
    scripted.reset()  # as often as the face did
    seen, _ = face.reset()
    rng = np.random.default_rng(0)
    ends = 0
    for _ in range(120):
        decision, _ = scripted.get_steps(scripted.behavior)
        assert np.array_equal(seen, decision.obs[0])
        action = rng.uniform(-1, 1, (5, 2)).astype(np.float32)
        scripted.set_actions(scripted.behavior, ActionTuple(action))
        scripted.step()
        seen, reward, terminated, truncated, info = face.step(action)
        decision, terminal = scripted.get_steps(scripted.behavior)
        ended = terminated | truncated
        assert np.array_equal(reward[~ended], decision.reward[~ended])
        assert np.array_equal(reward[ended], terminal.reward)
        assert np.array_equal(info["agent_id"], decision.agent_id)
        assert ("final_obs" in info) == (len(terminal) > 0)
        if len(terminal):
            assert np.array_equal(np.stack(info["final_obs"][ended]), terminal.obs[0])
            assert np.array_equal(info["_final_obs"], ended)
            assert info["final_info"]["agent_id"][ended].tolist() == terminal.agent_id.tolist()
        ends += len(terminal)
    assert ends > 5


def test_spaces_and_mode_are_declared(make_scripted, make_seat):
    env = UnityVectorEnv(make_scripted(make_seat(GUIDE), make_seat(GUIDE)))
    assert env.num_envs == 2
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    seen, _ = env.reset()
    assert sorted(seen) == ["felt", "seen"]  # one entry per sensor
    assert env.observation_space.contains(seen)
    assert env.action_space.shape == (2, 2)
    env.step(env.action_space.sample())


def test_a_limit_truncates_and_an_end_terminates(make_scripted, make_seat):
    env = UnityVectorEnv(make_scripted(make_seat(GUARD, life=2), make_seat(GUARD, life=2, interrupted=True)))
    env.reset()
    env.step(np.zeros((2, 2), int))
    seen, reward, terminated, truncated, info = env.step(np.zeros((2, 2), int))
    assert terminated.tolist() == [True, False]
    assert truncated.tolist() == [False, True]
    assert reward.tolist() == [2, 2]
    assert seen[:, 1].tolist() == [0, 0]  # the successors' age
    assert [last[1] for last in info["final_obs"]] == [2, 2]


@pytest.mark.parametrize("renew_ids", [False, True])
def test_a_silent_lane_is_waited_for_while_the_other_repeats_its_action(make_scripted, make_seat, renew_ids):
    scripted = make_scripted(make_seat(GUARD, life=90), make_seat(GUARD, period=3, life=90), renew_ids=renew_ids)
    env = UnityVectorEnv(scripted)
    env.reset()
    seen, reward, *_, info = env.step([[1, 2], [0, 1]])
    assert seen[:, 1].tolist() == [3, 3]
    assert reward.tolist() == [1 + 2 + 3, 3]
    ids, answers = zip(*[(ids, action.discrete.tolist()) for _, ids, action in scripted.heard], strict=True)
    first, second = info["agent_id"].tolist()
    assert list(ids) == [[first, second], [first], [first]]
    assert list(answers) == [[[1, 2], [0, 1]], [[1, 2]], [[1, 2]]]


@pytest.mark.parametrize(("renew_ids", "ids"), [(False, [0, 1]), (True, [5, 3])])
def test_an_episode_that_begins_during_a_step_is_idle_until_the_next(make_scripted, make_seat, renew_ids, ids):
    scripted = make_scripted(make_seat(GUARD, life=2), make_seat(GUARD, period=4, life=90), renew_ids=renew_ids)
    env = UnityVectorEnv(scripted)
    env.reset()
    seen, reward, terminated, _, info = env.step([[1, 2], [1, 1]])  # two episodes of lane 0 end until lane 1 asks
    assert terminated.tolist() == [True, False]
    assert reward.tolist() == [1 + 2, 4]
    assert info["final_obs"][0].tolist() == [0, 2, 2]
    assert [action.discrete.tolist() for _, _, action in scripted.heard[2:]] == [[[0, 0]], [[0, 0]]]
    assert info["agent_id"].tolist() == ids
    assert seen[0].tolist() == [3, 0, 4]


@pytest.mark.parametrize(("renew_ids", "ids"), [(False, [0, 1]), (True, [4, 3])])
def test_an_episode_that_begins_later_is_waited_for(make_scripted, make_seat, renew_ids, ids):
    seats = make_seat(GUARD, life=2, gap=3), make_seat(GUARD, life=90)
    env = UnityVectorEnv(make_scripted(*seats, renew_ids=renew_ids))
    env.reset()
    env.step(np.zeros((2, 2), int))
    seen, reward, terminated, _, info = env.step(np.zeros((2, 2), int))
    assert terminated.tolist() == [True, False]
    assert info["agent_id"].tolist() == ids
    assert seen[:, 1].tolist() == [0, 5]
    assert reward.tolist() == [2, 2 + 3 + 4 + 5]


def test_agents_that_keep_their_ids_keep_their_lanes(make_scripted, make_seat):
    seats = [make_seat(GUARD, life=life, gap=life % 3) for life in (3, 5, 2, 7)]
    env = UnityVectorEnv(make_scripted(*seats))
    for _ in range(3):
        _, info = env.reset()
        assert info["agent_id"].tolist() == [0, 1, 2, 3]
        assert info["group_reward"].tolist() == [0] * 4
        total, lengths = np.zeros(4), [[], [], [], []]
        for _ in range(40):
            _, reward, terminated, _, info = env.step(np.zeros((4, 2), int))
            total += reward
            assert info["agent_id"].tolist() == [0, 1, 2, 3]
            for lane in np.flatnonzero(terminated).tolist():
                assert info["final_info"]["agent_id"][lane] == lane
                lengths[lane].append(info["final_obs"][lane][1])
                assert total[lane] <= sum(range(1, seats[lane].life + 1))
                total[lane] = 0
        assert all(set(ages) == {seat.life} for ages, seat in zip(lengths, seats, strict=True))


@pytest.mark.parametrize("period", [2, 5])
def test_lanes_are_kept_where_ends_come_between_decisions(period):
    env = UnityVectorEnv(PacedEnv(make("3DBall", areas=5, seed=1), period))
    ends = np.zeros(5, int)
    for _ in range(3):
        _, info = env.reset()
        for _ in range(40):
            assert info["agent_id"].tolist() == list(range(5))
            _, reward, terminated, _, info = env.step(env.action_space.sample())
            assert reward[~terminated] == pytest.approx(0.1 * period)  # whoever ended is waited for
            assert set(np.rint(10 * (reward[terminated] + 1))) <= set(range(period))
            ends += terminated
    assert (ends > 3).all()


def test_a_new_agent_takes_a_lane_that_none_had_before_one_whose_agent_may_come_again(make_scripted, make_seat):
    # agent 0 is away from 2 on, agent 1 comes at 3, agent 0 comes again at 5
    seats = make_seat(GUARD, life=2, gap=3), make_seat(GUARD, life=90, born=3)
    env = UnityVectorEnv(make_scripted(*seats), num_envs=2)
    _, info = env.reset()
    assert info["agent_id"].tolist() == [0, 1]


def test_a_new_agent_takes_the_lane_of_one_that_has_ended(make_scripted, make_seat):
    class Replaced(type(make_scripted(make_seat(GUARD)))):
        """The agent of the first seat is destroyed when its episode ends, and another is made."""

        def _begin(self, seat):
            if seat is self._seats[0]:
                seat.agent = -1
            super()._begin(seat)

    specs = make_scripted(make_seat(GUARD)).behavior_specs
    env = UnityVectorEnv(Replaced(specs, [make_seat(GUARD, life=2), make_seat(GUARD, life=3)]))
    env.reset()
    before = env.step(np.zeros((2, 2), int))[-1]["agent_id"]
    *_, info = env.step(np.zeros((2, 2), int))
    assert info["final_info"]["agent_id"].tolist() == [before[0], -1]
    assert info["agent_id"].tolist() == [before[0] + 1, before[1]]


def test_more_lanes_can_be_asked_for_than_speak_at_first(make_scripted, make_seat):
    env = UnityVectorEnv(make_scripted(make_seat(GUARD, life=90), make_seat(GUARD, life=90, born=4)), num_envs=2)
    assert env.reset()[0][:, 1].tolist() == [4, 0]


def test_lanes_that_cannot_be_filled_get_a_sentence(make_scripted, make_seat):
    env = UnityVectorEnv(make_scripted(make_seat(GUARD), make_seat(GUARD)), num_envs=3, patience=20)
    with pytest.raises(UnityGymException, match=r"lanes \[2\] did not request.*in 20 steps: give a smaller num_envs"):
        env.reset()
    late = UnityVectorEnv(make_scripted(make_seat(GUARD, life=90), make_seat(GUARD, born=2)))
    late.reset()
    late.step([[0, 0]])
    with pytest.raises(UnityGymException, match=r"agents \[1\] find none of the 1 lanes free"):
        late.step([[0, 0]])


def test_masks_are_rows_of_what_is_allowed(make_scripted, make_seat):
    env = UnityVectorEnv(make_scripted(make_seat(GUARD, life=3), make_seat(GUARD)))
    _, info = env.reset()
    assert info["action_mask"].tolist() == [[1] * 5] * 2
    *_, info = env.step(np.ones((2, 2), int))
    assert info["action_mask"].tolist() == [[0, 1, 1, 1, 1]] * 2
    assert info["group_reward"].tolist() == [1, 1]


def test_agents_of_other_behaviors_do_nothing(make_scripted, make_seat):
    scripted = make_scripted(make_seat(GUARD), make_seat(SCOUT))
    with pytest.raises(UnityGymException, match="name one of these"):
        UnityVectorEnv(scripted)
    with pytest.raises(UnityGymException, match="no behavior 'Goat'"):
        UnityVectorEnv(scripted, "Goat")
    env = UnityVectorEnv(scripted, SCOUT)
    env.reset()
    env.step((np.array([[0.5, 1]], np.float32), np.array([2])))
    assert {name for name, _, _ in scripted.heard} == {SCOUT}
    assert scripted.heard[-1][2].continuous.tolist() == [[0.5, 1]]


def test_wrong_actions_and_a_missing_reset_get_a_sentence():
    env = UnityVectorEnv(make("Basic", areas=3))
    with pytest.raises(UnityGymException, match=r"call reset\(\) before step"):
        env.step([0, 0, 0])
    env.reset()
    for action in ([0, 0], [0, 0, 3], [[0, 0, 0]], [0.0, 1.0, 2.0]):
        with pytest.raises(UnityGymException, match="for each of 3 agents"):
            env.step(action)
    env.close()


def test_what_was_given_is_not_changed_later():
    env = UnityVectorEnv(make("Basic", areas=2))
    kept = [env.reset()[0]]
    copies = [kept[0].copy()]
    for _ in range(12):
        seen, reward, *_ = env.step(np.array([2, 1]))
        kept += [seen, reward]
        copies += [seen.copy(), reward.copy()]
    assert all(np.array_equal(one, other) for one, other in zip(kept, copies, strict=True))


def test_gymnasiums_wrappers_fit():
    env = DictInfoToList(RecordEpisodeStatistics(UnityVectorEnv(make("Basic", areas=2))))
    env.reset()
    for _ in range(6):
        env.step(np.array([2, 0]))
    *_, infos = env.step(np.array([2, 0]))
    assert infos[0]["episode"]["l"] == 7
    assert infos[0]["final_obs"].argmax() == 17
    assert "episode" not in infos[1]
