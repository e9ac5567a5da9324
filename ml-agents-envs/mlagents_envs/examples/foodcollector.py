"""FoodCollector: collect good food and leave the bad; a laser freezes others that compete for it.

A field of 100 x 100 between walls, with 25 balls of good food and 25 of bad. Five agents, cubes of 10 kg, decide every
5 physics steps of 0.02 s, each for itself: +1 for good food that it touches, -1 for bad. Food that is touched falls
down somewhere else, and as it is a ball of 5 kg that was struck it rolls on from there. After 5000 physics steps the
episode of an agent is interrupted; the food stays.

Who shoots is slowed, and freezes the agent that a ball of radius 2, thrown up to 25 m ahead, meets before anything
else: for 4 s that one does nothing. `laser_length` changes only how a laser looks, to agents that see it.

Simplified: food rolls through other food, and stops where it meets a wall.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mlagents_envs.base_env import ActionSpec, ActionTuple, BehaviorSpec
from mlagents_envs.examples import foodcollector_numba as kernel
from mlagents_envs.examples.engine.planar import DEFAULT_FRICTION, body
from mlagents_envs.examples.engine.planar_env import PlanarEnv
from mlagents_envs.examples.example import Array
from mlagents_envs.examples.sensors.gridsensor import GridSensor, grid

SENSOR = GridSensor("GridSensor", 5, 40, 40)  # distinguishes food, agent, wall, badFood, frozenAgent
WALLS = ((50.5, 0.0, 0.5, 51.0), (-50.5, 0.0, 0.5, 51.0), (0.0, 50.5, 51.0, 0.5), (0.0, -50.5, 51.0, 0.5))
FLOOR = 0.5  # height


class FoodField(PlanarEnv):
    """The field and its rules, whatever agents see.

    Continuous actions: forward, to the right, turn left; each from -1 to 1. Discrete: 1 shoots.
    shooting: (n,) bool, who has shot in the last decision.
    laser_length: (n,) float32, of each agent's laser in this episode, as a factor.
    """

    PER_AREA = kernel.AGENTS
    ACTIONS: ClassVar[ActionSpec] = ActionSpec.create_hybrid(3, (2,))
    PARAMETERS = {"laser_length": (1.0, 0.2, 7.0), "agent_scale": (1.0, 0.5, 5.0)}

    def __init__(self, *, areas: int | None = None, seed: int = 0, renew_ids: bool = False) -> None:
        super().__init__(bodies(), moving=kernel.AGENTS, areas=areas, seed=seed, renew_ids=renew_ids)
        self._wakes = np.zeros(self.n, np.int32)  # physics step in which a frozen agent acts again
        self.shooting = np.zeros(self.n, bool)
        self.laser_length = np.ones(self.n, np.float32)
        self._seen = []  # agents look anew

    def _begin(self) -> list[Array]:
        kernel.scatter(self.state)
        return super()._begin()

    def _play(self, action: ActionTuple, reward: Array, done: Array, interrupted: Array) -> None:
        kernel.decide(self.state, action.continuous, action.discrete, self._wakes, reward, done)
        self.shooting = action.discrete[:, 0] == 1
        interrupted[:] = done

    def _begin_in(self, areas: Array) -> None:
        n = len(areas) * self.PER_AREA
        scale, length = self._draw("agent_scale", n), self._draw("laser_length", n)
        kernel.begin(self.state, areas, scale, self._wakes)
        self.shooting.reshape(self.areas, -1)[areas] = False
        self.laser_length.reshape(self.areas, -1)[areas] = length.reshape(len(areas), -1)


class FoodCollector(FoodField):
    """Sees a grid of cells around it, which turns with it."""

    NAME = "FoodCollector"
    AREAS = 4
    BEHAVIORS = ("GridFoodCollector?team=0",)
    SPEC = BehaviorSpec([SENSOR.spec], FoodField.ACTIONS)

    def __init__(self, *, areas: int | None = None, seed: int = 0, renew_ids: bool = False) -> None:
        super().__init__(areas=areas, seed=seed, renew_ids=renew_ids)
        self._grid = grid(SENSOR)

    def _see(self) -> list[Array]:
        seen = np.zeros((self.n, *SENSOR.shape), np.float32)
        kernel.look(self.state, self._grid, seen)
        return [seen]


def bodies() -> list[Array]:
    """Return what is in an area, in the order that the kernels know."""
    agent = body(heights=(FLOOR, FLOOR + 1.0), mass=10.0, drag=0.5, friction=DEFAULT_FRICTION)
    food, bad = (
        # what slows a ball that rolls is Unity's angular drag of 0.05, from which two sevenths are left for its speed
        body(half=(0.75, 0.75), heights=(FLOOR, FLOOR + 1.5), round=True, tag=tag, mass=5.0, drag=0.05 * 2 / 7)
        for tag in (kernel.GOOD, kernel.BAD)
    )
    walls = [body(x, z, half=(hx, hz), heights=(-2.0, 3.0), tag=kernel.WALL) for x, z, hx, hz in WALLS]
    return [*[agent] * kernel.AGENTS, *[food] * kernel.OF_EACH, *[bad] * kernel.OF_EACH, *walls]
