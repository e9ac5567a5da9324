import numpy as np
import pytest

from mlagents_envs.base_env import (
    ActionSpec,
    ActionTuple,
    BehaviorMapping,
    BehaviorSpec,
    DecisionSteps,
    DimensionProperty,
    ObservationSpec,
    ObservationType,
    TerminalSteps,
)
from mlagents_envs.exception import UnityActionException, UnityException, UnityWorkerInUseException

SPEC = BehaviorSpec(
    [ObservationSpec((2,), (DimensionProperty.NONE,), ObservationType.DEFAULT, "seen")],
    ActionSpec.create_hybrid(1, (2, 3)),
)


def decisions():
    return DecisionSteps(
        [np.arange(4, dtype=np.float32).reshape(2, 2)], np.array([1, 2], np.float32), np.array([7, 9], np.int32),
        [np.array([[True, False], [False, False]]), np.zeros((2, 3), bool)], np.zeros(2, np.int32), np.zeros(2, np.float32),
    )  # fmt: skip


def test_steps_are_a_mapping_from_agents_to_their_row():
    steps = decisions()
    assert list(steps) == [7, 9]
    assert 7 in steps and 8 not in steps
    assert steps.agent_id_to_index == {7: 0, 9: 1}
    assert steps[9].obs[0].tolist() == [2, 3]
    assert steps[9].reward == 2
    assert steps[7].action_mask[0].tolist() == [True, False]
    with pytest.raises(KeyError, match="agent 8"):
        steps[8]


def test_terminal_steps_say_whether_they_were_interrupted():
    steps = TerminalSteps(
        [np.zeros((1, 2), np.float32)], np.array([3], np.float32), np.array([True]), np.array([4], np.int32),
        np.zeros(1, np.int32), np.zeros(1, np.float32),
    )  # fmt: skip
    assert steps[4].interrupted is True


def test_nobody_ended_later_unless_it_is_said():
    steps = decisions()
    assert steps.ended is None
    assert DecisionSteps.empty(SPEC).ended is None
    columns = (steps.obs, steps.reward, steps.agent_id, steps.action_mask, steps.group_id, steps.group_reward)
    assert DecisionSteps(*columns, ended=np.array([True, False])).ended.tolist() == [True, False]


def test_an_agent_with_several_rows_is_found_by_its_last():
    steps = TerminalSteps(
        [np.arange(6, dtype=np.float32).reshape(3, 2)], np.array([1, 2, 3], np.float32), np.array([True, True, False]),
        np.array([4, 5, 4], np.int32), np.zeros(3, np.int32), np.zeros(3, np.float32),
    )  # fmt: skip
    assert len(steps) == 3
    assert list(steps) == [4, 5, 4]
    assert steps.agent_id_to_index == {4: 2, 5: 1}
    assert (steps[4].reward, steps[4].interrupted, steps[4].obs[0].tolist()) == (3.0, False, [4.0, 5.0])


def test_steps_of_nobody_have_the_shapes_of_the_behavior():
    for empty in (DecisionSteps.empty(SPEC), TerminalSteps.empty(SPEC)):
        assert len(empty) == 0
        assert empty.obs[0].shape == (0, 2)
    assert DecisionSteps.empty(SPEC).action_mask is None


def test_an_action_without_one_half_has_no_columns_there():
    action = ActionTuple(continuous=np.zeros((3, 2)))
    assert action.continuous.dtype == np.float32
    assert action.discrete.shape == (3, 0)
    assert ActionTuple().continuous is None
    action = ActionTuple(discrete=np.zeros((3, 2), np.int64))
    assert action.discrete.dtype == np.int32
    assert action.continuous.shape == (3, 0)


def test_random_actions_stay_within_their_space():
    action = ActionSpec.create_hybrid(2, (2, 5)).random_action(500)
    assert np.abs(action.continuous).max() <= 1
    assert action.discrete.max(0).tolist() == [1, 4]
    assert action.discrete.min() == 0


def test_kinds_of_action_space():
    assert ActionSpec.create_continuous(2).is_continuous()
    assert ActionSpec.create_discrete((2,)).is_discrete()
    hybrid = ActionSpec.create_hybrid(2, (3,))
    assert not hybrid.is_continuous() and not hybrid.is_discrete()
    assert str(hybrid) == "Continuous: 2, Discrete: (3,)"
    assert hybrid == ActionSpec(2, (3,))
    assert hybrid.empty_action(4).continuous.shape == (4, 2)


def test_actions_of_another_shape_are_refused():
    with pytest.raises(UnityActionException, match=r"B: discrete actions have shape \(2, 0\); 2 agents need \(2, 1\)"):
        ActionSpec(2, (3,)).validate_action(ActionTuple(np.zeros((2, 2))), 2, "B")


def test_the_check_of_actions_keeps_the_name_that_unitys_package_has():
    spec, action = ActionSpec.create_continuous(2), ActionTuple(np.zeros((3, 2)))
    assert spec._validate_action(action, 3, "B") is action
    with pytest.raises(UnityActionException, match="B: continuous actions have shape"):
        spec._validate_action(action, 4, "B")


def test_behaviors_cannot_be_changed_from_outside():
    mapping = BehaviorMapping({"B": SPEC})
    assert dict(mapping) == {"B": SPEC}
    with pytest.raises(TypeError):
        mapping["C"] = SPEC


def test_all_errors_are_one_family():
    error = UnityWorkerInUseException(3)
    assert isinstance(error, UnityException)
    assert "worker 3" in str(error)


def test_steps_are_equal_if_all_their_columns_are():
    def steps(kind, reward=1.0, agent=3, more=False):
        one, ids = np.full(1, reward, np.float32), np.full(1, agent, np.int32)
        obs = [np.ones((1, 2), np.float32)]
        if kind is DecisionSteps:
            return DecisionSteps(obs, one, ids, [np.full((1, 2), more)], ids * 0, one * 0)
        return TerminalSteps(obs, one, np.full(1, more), ids, ids * 0, one * 0)

    for kind in (DecisionSteps, TerminalSteps):
        assert steps(kind) == steps(kind)
        assert steps(kind) != steps(kind, reward=2.0)
        assert steps(kind) != steps(kind, agent=4)
        assert steps(kind) != steps(kind, more=True)
    assert steps(DecisionSteps) != steps(TerminalSteps)
    assert steps(DecisionSteps) != {3: None}
