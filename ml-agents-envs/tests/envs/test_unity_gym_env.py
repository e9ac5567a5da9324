import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env

from mlagents_envs.base_env import (
    ActionSpec,
    BehaviorSpec,
    DecisionSteps,
    DimensionProperty,
    ObservationSpec,
    ObservationType,
    TerminalSteps,
)
from mlagents_envs.envs.unity_gym_env import ActionFlattener, UnityGymException, UnityToGymWrapper
from mlagents_envs.examples.catalog import make
from mlagents_envs.examples.example import vector_sensor
from mlagents_envs.exception import UnityException

GUARD, SCOUT, GUIDE = "Guard?team=0", "Scout?team=0", "Guide?team=1"
IMAGE = ObservationSpec((1, 4, 5), (DimensionProperty.NONE,) * 3, ObservationType.DEFAULT, "camera")
SEEING = {
    "Eye?team=0": BehaviorSpec([vector_sensor(3, "a"), IMAGE, vector_sensor(2, "b")], ActionSpec.create_continuous(1))
}


def checked(env):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*(infinity|not having a spec|action_mask).*")
        check_env(env)


@pytest.mark.parametrize("options", [{}, {"flatten_branched": True}, {"allow_multiple_obs": True}])
@pytest.mark.parametrize("behavior", [GUARD, SCOUT])
@pytest.mark.parametrize("renew_ids", [False, True])
def test_gymnasiums_own_check_passes(make_scripted, make_seat, behavior, options, renew_ids):
    checked(UnityToGymWrapper(make_scripted(make_seat(behavior), renew_ids=renew_ids), **options))


@pytest.mark.parametrize("renew_ids", [False, True])
@pytest.mark.parametrize("name", ["Basic", "3DBall", "3DBallHard"])
def test_gymnasiums_own_check_passes_on_examples(name, renew_ids):
    checked(UnityToGymWrapper(make(name, areas=1, renew_ids=renew_ids)))


@pytest.mark.parametrize("options", [{}, {"uint8_visual": True}, {"allow_multiple_obs": True}])
@pytest.mark.filterwarnings("ignore:.*only the first of 2")
def test_gymnasiums_own_check_passes_with_images(make_scripted, make_seat, options):
    checked(UnityToGymWrapper(make_scripted(make_seat("Eye?team=0"), specs=SEEING), render_mode="rgb_array", **options))


@pytest.mark.parametrize("renew_ids", [False, True])
@pytest.mark.parametrize("interrupted", [False, True])
def test_an_end_terminates_and_a_limit_truncates(make_scripted, make_seat, interrupted, renew_ids):
    seat = make_seat(GUARD, life=3, interrupted=interrupted)
    env = UnityToGymWrapper(make_scripted(seat, renew_ids=renew_ids))
    assert env.reset()[1]["group_reward"] == 0
    steps = [env.step([0, 0]) for _ in range(3)]
    assert [step[1] for step in steps] == [1, 2, 3]
    assert [step[2:4] for step in steps] == [(False, False)] * 2 + [(not interrupted, interrupted)]
    assert steps[-1][0][1] == 3  # the last observation is the ended episode's, though the next one asks already
    with pytest.raises(UnityGymException, match="has ended: call reset"):
        env.step([0, 0])
    assert env.reset()[0][1] == 0


def test_an_agent_that_is_silent_for_a_while_is_waited_for(make_scripted, make_seat):
    env = UnityToGymWrapper(make_scripted(make_seat(GUARD, period=2, life=6)))
    env.reset()
    assert env.step([1, 2])[0].tolist()[1:] == [2, 2]


def test_what_is_answered_arrives(make_scripted, make_seat):
    scripted = make_scripted(make_seat(SCOUT))
    env = UnityToGymWrapper(scripted)
    env.reset()
    env.step((np.array([0.5, -1], np.float32), 2))
    _, _, action = scripted.heard[-1]
    assert action.continuous.tolist() == [[0.5, -1]]
    assert action.discrete.tolist() == [[2]]


def test_masks_say_what_is_allowed_as_sampling_wants_it(make_scripted, make_seat):
    env = UnityToGymWrapper(make_scripted(make_seat(GUARD)), flatten_branched=False)
    env.reset()
    info = env.step([1, 1])[-1]
    first, second = info["action_mask"]
    assert first.tolist() == [0, 1] and second.tolist() == [1, 1, 1]
    assert env.action_space.sample(mask=info["action_mask"])[0] == 1
    assert info["group_reward"] == 1

    flat = UnityToGymWrapper(make_scripted(make_seat(GUARD)), flatten_branched=True)
    flat.reset()
    assert flat.step(0)[-1]["action_mask"].tolist() == [0, 0, 0, 1, 1, 1]
    hybrid = UnityToGymWrapper(make_scripted(make_seat(SCOUT)))
    assert hybrid.action_space.contains(hybrid.action_space.sample(mask=hybrid.reset()[1]["action_mask"]))


def test_flat_actions_count_with_the_last_branch_fastest(make_scripted, make_seat):
    flattener = ActionFlattener((2, 3))
    assert flattener.action_space == spaces.Discrete(6)
    assert [flattener.lookup_action(number) for number in (0, 1, 3)] == [[0, 0], [0, 1], [1, 0]]
    scripted = make_scripted(make_seat(GUARD))
    env = UnityToGymWrapper(scripted, flatten_branched=True)
    env.reset()
    env.step(4)
    assert scripted.heard[-1][2].discrete.tolist() == [[1, 1]]


def test_images_come_first_and_vectors_are_joined(make_scripted, make_seat):
    def face(**options):
        return UnityToGymWrapper(make_scripted(make_seat("Eye?team=0"), specs=SEEING), **options)

    everything = face(allow_multiple_obs=True)
    assert [space.shape for space in everything.observation_space] == [(1, 4, 5), (5,)]
    assert [part.shape for part in everything.reset()[0]] == [(1, 4, 5), (5,)]
    with pytest.warns(UserWarning, match="only the first of 2 observations"):
        first = face(uint8_visual=True, render_mode="rgb_array")
    seen, _ = first.reset()
    assert seen.dtype == np.uint8 and seen.shape == (1, 4, 5) and (seen == 128).all()
    assert first.render().shape == (4, 5, 3) and first.render().dtype == np.uint8
    assert everything.render() is None


def test_what_cannot_be_shown_gets_a_sentence(make_scripted, make_seat):
    with pytest.raises(UnityGymException, match=r"2 agents request actions, but a gymnasium\.Env has one"):
        UnityToGymWrapper(make("Basic", areas=2))
    with pytest.raises(UnityGymException, match=r"has Guard\?team=0, Scout\?team=0: name one"):
        UnityToGymWrapper(make_scripted(make_seat(GUARD), make_seat(SCOUT)))
    with pytest.raises(UnityGymException, match="no image to show"):
        UnityToGymWrapper(make("Basic"), render_mode="rgb_array")
    with pytest.raises(UnityGymException, match="render_mode is 'human'"):
        UnityToGymWrapper(make("Basic"), render_mode="human")
    rows = ObservationSpec((2, 3), (DimensionProperty.NONE,) * 2, ObservationType.DEFAULT, "rows")
    blind = {GUARD: BehaviorSpec([rows], ActionSpec.create_continuous(1))}
    with pytest.raises(UnityGymException, match="no sensor of rank 1 or 3"):
        UnityToGymWrapper(make_scripted(make_seat(GUARD), specs=blind))
    with pytest.warns(UserWarning, match="uint8_visual has no effect"):
        UnityToGymWrapper(make("Basic"), True)


@pytest.mark.parametrize("action", [3, -1, 0.5, None, "left", [0, 1]])
def test_no_action_gets_a_sentence(action):
    env = UnityToGymWrapper(make("Basic"))
    with pytest.raises(UnityGymException, match=r"no action.*Discrete\(3\)"):
        env.step(action)


@pytest.mark.parametrize("action", [[np.nan], [0.0, 0.0], None, 6])
def test_no_action_of_numbers_or_of_combinations_gets_a_sentence(make_scripted, make_seat, action):
    with pytest.raises(UnityGymException, match="no action"):
        UnityToGymWrapper(make_scripted(make_seat("Eye?team=0"), specs=SEEING), allow_multiple_obs=True).step(
            action if action != 6 else []
        )
    with pytest.raises(UnityGymException, match="no action"):
        UnityToGymWrapper(make_scripted(make_seat(GUARD)), flatten_branched=True).step(action)


def test_a_seed_reaches_environments_that_take_one(make_scripted, make_seat):
    scripted = make_scripted(make_seat(GUARD))
    env = UnityToGymWrapper(scripted, action_space_seed=3)
    env.reset(seed=5)
    env.reset()
    assert scripted.seeds == [5]
    assert np.array_equal(
        env.action_space.sample(), UnityToGymWrapper(scripted, action_space_seed=3).action_space.sample()
    )
    env.close()
    assert scripted.closed


def test_its_exception_is_of_both_families():
    assert issubclass(UnityGymException, UnityException)
    assert issubclass(UnityGymException, gymnasium.error.Error)


def test_arguments_are_taken_in_the_order_of_unitys_own_snippets(make_scripted, make_seat):
    env = UnityToGymWrapper(make_scripted(make_seat("Eye?team=0"), specs=SEEING), True, False, True, 3)
    assert env.observation_space[0].dtype == np.uint8
    assert isinstance(env.observation_space, spaces.Tuple)
    flat = UnityToGymWrapper(make_scripted(make_seat(GUARD)), False, True)
    assert isinstance(flat.action_space, spaces.Discrete)
    seeded = [UnityToGymWrapper(make_scripted(make_seat(GUARD)), False, False, False, 5) for _ in range(2)]
    assert seeded[0].action_space.sample().tolist() == seeded[1].action_space.sample().tolist()


def test_info_holds_the_steps_behind_an_answer(make_scripted, make_seat):
    env = UnityToGymWrapper(make_scripted(make_seat(GUARD, life=2)))
    _, info = env.reset()
    assert isinstance(info["step"], DecisionSteps)
    answers = [env.step([0, 0]) for _ in range(2)]
    assert isinstance(answers[0][4]["step"], DecisionSteps) and isinstance(answers[1][4]["step"], TerminalSteps)
    assert [float(answer[4]["step"].reward[0]) for answer in answers] == [answer[1] for answer in answers]
