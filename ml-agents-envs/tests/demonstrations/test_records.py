"""Numbers that no agent can see, do or be given are refused with their place, whatever wrote the file."""

import math

import numpy as np
import pytest

from mlagents_envs.base_env import ActionSpec
from mlagents_envs.demonstrations.file import read
from mlagents_envs.exception import DemonstrationException

from .conftest import header, pieces, record, write_file

GOOD = {"obs": [[1, 2], [3]], "reward": 1.0, "continuous": [0.5], "discrete": [2, 0]}
WRONG = {
    "nan in an observation": ({"obs": [[1, math.nan], [3]]}, "nan in sensor 0; numbers must be finite and within 1e+15"),
    "infinity in an observation": ({"obs": [[1, 2], [-math.inf]]}, "-inf in sensor 1; numbers must be finite and within 1e+15"),
    "a number whose square is none": ({"obs": [[1e20, 2], [3]]}, "1e+20 in sensor 0; numbers must be finite"),
    "nan as a reward": ({"reward": math.nan}, "nan in its reward; numbers must be finite and within 1e+15"),
    "infinity as an action": ({"continuous": [math.inf]}, "inf in a continuous action; numbers must be finite and within 1e+15"),
    "a choice beyond its branch": ({"discrete": [3, 0]}, "3 in discrete branch 0; it has the choices 0 to 2"),
    "a choice below zero": ({"discrete": [2, -1]}, "-1 in discrete branch 1; it has the choices 0 to 1"),
    "too few choices": ({"discrete": [2]}, "1 discrete actions; its header has 2"),
    "too many numbers": ({"continuous": [0.5, 0.5]}, "2 continuous actions; its header has 1"),
    "a sensor less": ({"obs": [[1, 2]]}, "1 sensors; the first record has 2"),
    "a sensor more": ({"obs": [[1, 2], [3], [4]]}, "3 sensors; the first record has 2"),
    "another shape": ({"obs": [[1, 2, 3], [3]]}, "sensor 0 of shape (3,); the first record's has (2,)"),
    "fewer numbers than the shape": ({"obs": [((2,), (), [1], ""), [3]]}, "sensor 0 of shape (2,) that cannot be read: it has 1 numbers"),
    "a mask of another size": ({"mask": [True]}, "a mask of 1 choices; its branches have 5 together"),
}  # fmt: skip


def made(path, **wrong):
    """Write six records, of which record 4 is wrong."""
    records = [record(**{**GOOD, **(wrong if number == 4 else {})}) for number in range(6)]
    return write_file(path, header(continuous=1, branches=(3, 2)), records)


@pytest.mark.parametrize(("wrong", "message"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_is_refused_with_file_record_and_value(tmp_path, wrong, message):
    file = made(tmp_path / "a.demo", **wrong)
    with pytest.raises(DemonstrationException) as caught:
        read(file)
    assert f"a.demo: record 4 has {message}" in str(caught.value)


@pytest.mark.parametrize(("wrong", "message"), WRONG.values(), ids=WRONG)
def test_the_record_is_named_as_well_where_a_file_comes_in_pieces(tmp_path, wrong, message):
    file, records = made(tmp_path / "a.demo", **wrong), 0
    with pytest.raises(DemonstrationException) as caught:
        for part in pieces(file, (0.3, 0.55)):
            records += len(part)
    assert 0 < records <= 4
    assert f"growing.demo: record 4 has {message}" in str(caught.value)


def test_what_is_not_wrong_is_read(tmp_path):
    assert len(read(made(tmp_path / "a.demo"))) == 6


@pytest.mark.parametrize(
    ("choice", "message"),
    [(3.0, "3 in discrete branch 0"), (-1.0, "-1 in"), (0.5, "0.5 in"), (math.nan, "nan in"), (math.inf, "inf in")],
)
def test_choices_of_the_deprecated_list_are_looked_at_as_well(tmp_path, choice, message):
    records = [record([[1]], deprecated=[0]), record([[1]], deprecated=[choice])]
    file = write_file(tmp_path / "a.demo", header(branches=(3,), typed=False), records)
    with pytest.raises(DemonstrationException, match=f"record 1 has {message}"):
        read(file)


def test_no_actions_of_a_kind_stand_for_zeros(tmp_path):
    records = [record([[1]]), record([[1]], continuous=[0.5]), record([[1]], discrete=[1])]
    action = read(write_file(tmp_path / "a.demo", header(continuous=1, branches=(3,)), records)).action
    assert (action.continuous.tolist(), action.discrete.tolist()) == ([[0.0], [0.5], [0.0]], [[0], [0], [1]])


def test_a_record_whose_first_sensor_has_an_impossible_shape_is_refused(tmp_path):
    file = write_file(tmp_path / "a.demo", header(branches=(3,)), [record([((0,), (), [], "Ray")])])
    with pytest.raises(DemonstrationException, match=r"a\.demo: sensor 'Ray' has the shape \(0,\)"):
        read(file)


def test_actions_that_the_header_leaves_out_are_read_where_the_behavior_is_known(tmp_path):
    # as of actuator components, Match3's among them
    file = write_file(tmp_path / "a.demo", header(), [record([[1]], discrete=[k], mask=[False] * 9) for k in (0, 8)])
    actions = ActionSpec.create_discrete((9,))
    demonstration = read(file, actions=actions)
    assert demonstration.spec.action_spec == actions
    assert demonstration.transitions().action.discrete.tolist() == [[8]]
    with pytest.raises(DemonstrationException, match="record 0 has a mask of 9 choices"):
        read(file)
    with pytest.raises(DemonstrationException, match="record 0 has a mask of 9 choices"):
        read(file, actions=ActionSpec.create_discrete((3, 3)))


def test_a_header_that_tells_all_its_actions_wins_over_the_behavior(tmp_path):
    file = write_file(tmp_path / "a.demo", header(branches=(4,)), [record([[1]], discrete=[3])])
    assert read(file, actions=ActionSpec.create_discrete((9,))).spec.action_spec.discrete_branches == (4,)


def test_a_mask_says_what_is_allowed(tmp_path):
    records = [record([[1]], discrete=[0], mask=[True, False, True]), record([[1]], discrete=[0])]
    mask = read(write_file(tmp_path / "a.demo", header(branches=(3,)), records)).mask
    assert np.array_equal(mask, [[False, True, False], [True, True, True]])
