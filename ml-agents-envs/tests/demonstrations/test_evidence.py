"""Recordings made in Unity bear witness themselves: what an action did is seen in the record that it led to."""

import numpy as np
import pytest

from mlagents_envs.demonstrations.file import read
from mlagents_envs.fidelity.replay import ball_errors, predicted_velocities

from .conftest import reference

ALONG = np.array([0.0, 1.0, -1.0, 0.0, 0.0])  # Pyramids: what each choice does to the speed along the agent's view


def effect_in_pyramids(align):
    """Return the correlation of pushes along the view with the change of speed along it, vector observation 3."""
    rows = read(reference("ExpertPyramid"), align=align).transitions()
    speed_up = (rows.next_obs[3] - rows.obs[3])[:, 3]
    push = ALONG[rows.action.discrete[:, 0]]
    return np.corrcoef(push[~rows.done], speed_up[~rows.done])[0, 1]


def effect_in_balls(align):
    """Return the smaller correlation of an action with how the platform turned, about z and about x."""
    rows = read(reference("Expert3DBall"), align=align).transitions()
    turned = (rows.next_obs[0] - rows.obs[0])[:, :2]
    return min(np.corrcoef(rows.action.continuous[:, i], turned[:, i])[0, 1] for i in (0, 1))


@pytest.mark.parametrize(("align", "as_it_is"), [("auto", True), ("unity", True), ("old", False)])
def test_speed_in_pyramids_changes_as_the_next_records_action_pushes(align, as_it_is):
    effect = effect_in_pyramids(align)
    assert effect >= 0.7 if as_it_is else effect <= 0.2


@pytest.mark.parametrize(("align", "as_it_is"), [("auto", True), ("old", True), ("unity", False)])
def test_the_platform_of_3dball_turns_as_the_same_records_action_says(align, as_it_is):
    effect = effect_in_balls(align)
    assert effect >= 0.99 if as_it_is else effect <= 0.2


@pytest.mark.parametrize(("align", "as_it_is"), [("auto", True), ("old", False)])
def test_our_pyramids_foretell_recorded_velocities_from_the_next_records_action(align, as_it_is):
    pytest.importorskip("numba")
    share = predicted_velocities(reference("ExpertPyramid"), align=align)
    assert share > 0.8 if as_it_is else share < 0.6


@pytest.mark.parametrize(("align", "as_it_is"), [("auto", True), ("unity", False)])
def test_our_balls_foretell_recorded_positions_from_the_same_records_action(align, as_it_is):
    error = ball_errors(reference("Expert3DBall"), align=align)["position"]
    assert error < 0.01 if as_it_is else error > 0.05
