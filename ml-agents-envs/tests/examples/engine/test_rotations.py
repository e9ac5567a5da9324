import numpy as np
import pytest

from mlagents_envs.examples.drawing import about_y
from mlagents_envs.examples.engine.rotations import after, angle, between, cross, front, inverse, turn

CHANCE = np.random.default_rng(0)
QUARTER = about_y(np.pi / 2)  # clockwise as seen from above


def some(n=50):
    q = CHANCE.normal(size=(n, 4))
    return q / np.linalg.norm(q, axis=1, keepdims=True)


def directions(n=50):
    v = CHANCE.normal(size=(n, 3))
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def test_a_quarter_turn_to_the_right_looks_along_x():
    assert turn(QUARTER, np.array([[0.0, 0.0, 1.0]]))[0] == pytest.approx([1, 0, 0], abs=1e-6)
    assert front(QUARTER)[0] == pytest.approx([1, 0, 0], abs=1e-6)


def test_the_front_is_where_the_z_axis_goes():
    q = some()
    assert front(q) == pytest.approx(turn(q, np.tile([0.0, 0.0, 1.0], (50, 1))))


def test_turning_by_one_after_another_is_turning_by_both():
    first, second, v = some(), some(), CHANCE.normal(size=(50, 3))
    assert turn(after(second, first), v) == pytest.approx(turn(second, turn(first, v)))


def test_turning_back_undoes_a_turn():
    q, v = some(), CHANCE.normal(size=(50, 3))
    assert turn(inverse(q), turn(q, v)) == pytest.approx(v)


def test_the_shortest_turn_between_directions_leads_from_one_to_the_other():
    a, b = directions(), directions()
    q = between(a, b)
    assert turn(q, a) == pytest.approx(b)
    assert angle(q, np.tile([0.0, 0.0, 0.0, 1.0], (50, 1))) == pytest.approx(np.degrees(np.arccos((a * b).sum(1))))


def test_the_turn_to_what_is_right_behind_is_a_half_one():
    a = np.array([[0.0, 0.0, 1.0]])
    assert turn(between(a, -a), a) == pytest.approx(-a, abs=1e-6)


def test_cross_products_are_numpys():
    a, b = CHANCE.normal(size=(2, 7, 3, 3))
    assert cross(a, b) == pytest.approx(np.cross(a, b))
