"""Sensors of every kind."""

import pytest

from mlagents_envs.base_env import DimensionProperty, ObservationSpec, ObservationType

MOVES = DimensionProperty.TRANSLATIONAL_EQUIVARIANCE


class Sensors:
    @staticmethod
    def vector(size, name="Vector", *, goal=False):
        kind = ObservationType.GOAL_SIGNAL if goal else ObservationType.DEFAULT
        return ObservationSpec((size,), (DimensionProperty.NONE,), kind, name)

    @staticmethod
    def image(*shape, name="Camera", goal=False):
        kind = ObservationType.GOAL_SIGNAL if goal else ObservationType.DEFAULT
        return ObservationSpec(shape, (DimensionProperty.NONE, MOVES, MOVES), kind, name)

    @staticmethod
    def entities(most, size, name="Buffer", *, goal=False):
        kind = ObservationType.GOAL_SIGNAL if goal else ObservationType.DEFAULT
        return ObservationSpec((most, size), (DimensionProperty.VARIABLE_SIZE, DimensionProperty.NONE), kind, name)


@pytest.fixture
def sensors():
    """An object that makes the specification of a vector, an image, or a set of entities."""
    return Sensors
