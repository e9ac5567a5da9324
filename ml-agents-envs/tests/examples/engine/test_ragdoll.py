import numpy as np
import pytest

pytest.importorskip("mujoco")

from mlagents_envs.examples.drawing import about_y
from mlagents_envs.examples.engine.ragdoll import DT, FASTEST, GRAVITY, BodyPart, Drive, Joint, Ragdolls
from mlagents_envs.examples.engine.rotations import after, front, inverse

X, Y, Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
FIRM = Drive(spring=2000.0, damper=100.0, most=2000.0, armature=0.1, pieces=4)
HINGE = (Joint(X, -60.0, 60.0),)


def rods(n=1, *, height=20.0, drive=FIRM, joints=HINGE):
    """A heavy rod along z, and a light one before it."""
    parts = [
        BodyPart("back", None, (0.0, height, 0.0), "capsule", (0.1, 1.0), 1000.0),
        BodyPart("front", "back", (0.0, height, 1.0), "capsule", (0.1, 1.0), 1.0, anchor=(0.0, height, 0.5), joints=joints),
    ]
    dolls = Ragdolls(parts, drive, n)
    dolls.begin(range(n), np.zeros(n))
    return dolls


def bend(dolls, target, steps=60, strength=1.0):
    n = len(dolls.position)
    dolls.aim(np.broadcast_to(target, (n, dolls.joints)), np.full((n, 2), strength))
    for _ in range(steps):
        dolls.step(range(n))
    return after(inverse(dolls.rotation[:, 0]), dolls.rotation[:, 1])[0]


def test_a_body_falls_as_gravity_pulls():
    dolls = rods()
    for _ in range(30):
        dolls.step([0])
    assert dolls.velocity[0, 0] == pytest.approx([0, -GRAVITY * 30 * DT, 0], abs=1e-3)
    assert dolls.position[0, 0, 1] == pytest.approx(20 - GRAVITY * (30 * DT) ** 2 / 2, abs=0.05)


def test_a_turned_body_looks_where_unity_would_have_it_look():
    dolls = rods(2)
    dolls.begin([1], np.array([np.pi / 2]))
    assert dolls.position[0, 1] == pytest.approx([0, 20, 1], abs=1e-6)
    assert dolls.position[1, 1] == pytest.approx([1, 20, 0], abs=1e-6)
    assert front(dolls.rotation[1]) == pytest.approx(np.array([[1, 0, 0], [1, 0, 0]]), abs=1e-6)
    assert dolls.rotation[1, 0] == pytest.approx(about_y(np.pi / 2)[0], abs=1e-6)


@pytest.mark.parametrize(("axis", "half"), [(X, 0), (Y, 1), (Z, 2)])
def test_a_joint_turns_about_its_axis_as_in_unity(axis, half):
    expected = np.zeros(4)
    expected[half], expected[3] = np.sin(np.radians(15)), np.cos(np.radians(15))
    assert bend(rods(joints=(Joint(axis, -60.0, 60.0),)), 0.5) == pytest.approx(expected, abs=0.01)


def test_a_positive_turn_about_x_lets_the_front_dip():
    dolls = rods()
    bend(dolls, 0.5)
    assert front(dolls.rotation[0])[1, 1] < -0.4


def test_targets_span_the_range_of_a_joint():
    joint = (Joint(X, -10.0, 50.0),)
    for target, degrees in ((-1.0, -10.0), (0.0, 20.0), (1.0, 50.0)):
        turned = bend(rods(joints=joint), target)
        assert np.degrees(2 * np.arcsin(turned[0])) == pytest.approx(degrees, abs=1.0)


def test_a_spring_without_strength_pulls_nothing():
    assert bend(rods(), 1.0, strength=0.0) == pytest.approx([0, 0, 0, 1], abs=0.01)


def test_velocities_and_spins_are_what_positions_and_rotations_change_by():
    dolls = rods(joints=(Joint(X, -60.0, 60.0), Joint(Y, -60.0, 60.0)))
    dolls.aim(np.array([[0.7, -0.4]]), np.ones((1, 2)))
    for _ in range(4):
        dolls.step([0])
    place, rotation = dolls.position.copy(), dolls.rotation.copy()
    velocity, spin = dolls.velocity.copy(), dolls.spin.copy()
    dolls.step([0])
    mean = (velocity + dolls.velocity) / 2
    assert (dolls.position - place) / DT == pytest.approx(mean, abs=0.15)
    turned = after(dolls.rotation, inverse(rotation))[..., :3] * 2 / DT
    assert turned == pytest.approx((spin + dolls.spin) / 2, abs=0.3)


def test_what_touches_the_ground_is_known():
    dolls = rods(height=0.5)
    assert not dolls.touching.any()
    for _ in range(60):
        dolls.step([0])
    assert dolls.touching.all()


def test_only_those_who_are_named_move():
    dolls = rods(3)
    dolls.step([1])
    assert (dolls.velocity[:, 0, 1] != 0).tolist() == [False, True, False]


def test_nothing_turns_faster_than_unity_lets_it():
    dolls = rods()
    dolls.aim(np.zeros((1, 1)), np.zeros((1, 2)))
    dolls._data[0].qvel[6] = 60.0
    dolls.step([0])
    assert 49 < np.linalg.norm(dolls.spin[0, 1] - dolls.spin[0, 0]) <= FASTEST + 1


def test_a_body_whose_numbers_are_lost_is_known():
    dolls = rods(2)
    dolls.position[1, 0] = np.nan
    assert dolls.broken().tolist() == [False, True]
