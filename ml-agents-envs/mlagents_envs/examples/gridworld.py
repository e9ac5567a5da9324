"""GridWorld: walk to the green plus or to the red ex, whichever the goal signal names; the other one costs as much.

The floor has gridSize x gridSize cells, x to the right and z up, with walls around it. Pluses, exes and the agent begin
on cells of their own. -0.01 for each decision; reaching a plus or an ex ends the episode with +1 or -1 instead.

Shapes, camera and light are those of Unity's scene: the agent is a hollow square, the goals two crossed bars, and light
falls from the south-east. Colors are chosen: with these a policy that was trained on Unity's camera finds its way best.
"""

from __future__ import annotations

import numpy as np

from mlagents_envs.base_env import (
    ActionSpec,
    ActionTuple,
    BehaviorSpec,
    DimensionProperty,
    ObservationSpec,
    ObservationType,
)
from mlagents_envs.examples.example import Array, ExampleEnv
from mlagents_envs.examples.gridworld_numba import arrange, begin, move
from mlagents_envs.examples.sensors.raster import Painter, Polygon, box
from mlagents_envs.exception import UnityEnvironmentException

HEIGHT, WIDTH = 64, 84  # pixels
MOST = 20  # pluses, and exes, at most
FLOOR, SHADE, WALL = (30, 30, 30), (21, 21, 21), (83, 83, 83)
GREEN, RED, BLUE = (97, 201, 45), (158, 53, 40), (33, 150, 243)
SHIFT = (-0.63, 0.63)  # of a shadow on the floor: things are 0.75 high, the sun 40 degrees


def _picture(parts: list[Polygon], *, casting: int | None = None) -> tuple[list[Polygon], list[Polygon]]:
    """Return a shape and its shadow; casting: how many parts cast one, from the last (None: all)."""
    return parts, [part.shadow(SHIFT, SHADE) for part in parts[-(casting or len(parts)) :]]


_PLUS = _picture([box(1.0, 0.2, GREEN), box(0.2, 1.0, GREEN)])
_EX = _picture([box(0.2, 1.0, RED, degrees=45), box(0.2, 1.0, RED, degrees=-45)])
_AGENT = _picture(
    [box(0.2, 1.0, BLUE, x=-0.4), box(0.2, 1.0, BLUE, x=0.4), box(1.0, 0.2, BLUE, z=-0.4), box(1.0, 0.2, BLUE, z=0.4)],
    casting=3,  # the western bar's is switched off in Unity's scene
)
_SHAPES = ([box(1.0, 1.0, WALL)], _PLUS[0], _EX[0], _AGENT[0], _PLUS[1], _EX[1], _AGENT[1])  # as in gridworld_numba


class GridWorld(ExampleEnv):
    """Sees a picture from above, red, green and blue, and which goal is meant: one of plus, ex.

    size, pluses, exes: (areas,) int64, cells along an edge and how many of each goal there are.
    x, z: (areas, 1 + 2 MOST) int64, cells of the agent, then of pluses, then of exes; the rest is unused.
    goal: (areas,) int64, which one is meant: 0 plus, 1 ex.
    """

    NAME = "GridWorld"
    AREAS = 9
    SPEC = BehaviorSpec(
        [
            ObservationSpec(
                (3, HEIGHT, WIDTH),
                (DimensionProperty.NONE, *(DimensionProperty.TRANSLATIONAL_EQUIVARIANCE,) * 2),
                ObservationType.DEFAULT,
                "CameraSensor",
            ),
            ObservationSpec((2,), (DimensionProperty.NONE,), ObservationType.GOAL_SIGNAL, "VectorSensor"),
        ],
        ActionSpec.create_discrete((5,)),  # stay, up, down, left, right
    )
    PARAMETERS = {
        "gridSize": (5.0, 2.0, 20.0),
        "numPlusGoals": (1.0, 0.0, float(MOST)),
        "numExGoals": (1.0, 0.0, float(MOST)),
    }

    def __init__(self, *, areas: int | None = None, seed: int = 0, renew_ids: bool = False) -> None:
        super().__init__(areas=areas, seed=seed, renew_ids=renew_ids)
        n = self.n
        self._painter = Painter(_SHAPES, FLOOR, height=HEIGHT, width=WIDTH)
        self.size, self.pluses, self.exes = (np.zeros(n, np.int64) for _ in range(3))
        self.x, self.z = (np.zeros((n, 1 + 2 * MOST), np.int64) for _ in range(2))  # the agent, pluses, exes
        self.goal = np.zeros(n, np.int64)  # 0 plus, 1 ex
        self._clock = np.zeros(n, np.int64)  # decisions of this episode
        self._things, self._many = np.zeros((n, 4 + 4 * MOST, 4), np.float32), np.zeros(n, np.int64)
        self._views = np.zeros((n, 3), np.float32)
        self.set_seed(seed)

    def set_seed(self, seed: int) -> None:
        """Seed the random numbers of every area; takes effect at the next reset."""
        super().set_seed(seed)
        self._rng = np.random.default_rng(seed).integers(1, 2**63, self.n, dtype=np.uint64)  # each area's own

    def _begin(self) -> list[Array]:
        self._renew(np.ones(self.n, bool))
        return self._see(np.ones(self.n, bool))

    def _decide(self, action: ActionTuple) -> tuple[list[Array], Array, Array, Array, list[Array]]:
        reward, done, interrupted = np.empty(self.n, np.float32), np.empty(self.n, bool), np.empty(self.n, bool)
        move(
            action.discrete[:, 0], self.size, self.pluses, self.exes, self.x, self.z, self.goal, self._clock,
            reward, done, interrupted,
        )  # fmt: skip
        last: list[Array] = []
        if done.any():
            last = self._see(done)
            self._renew(done)
        return self._see(np.ones(self.n, bool)), reward, done, interrupted, last

    def _allowed(self) -> Array:
        """Return which moves do not lead into a wall."""
        x, z, end = self.x[:, 0], self.z[:, 0], self.size - 1
        return np.stack([np.ones(self.n, bool), z < end, z > 0, x > 0, x < end], axis=1)

    def _renew(self, fresh: Array) -> None:
        """Begin an episode in each fresh area."""
        n = int(fresh.sum())
        size, pluses, exes = (self._draw(name, n).astype(np.int64) for name in self.PARAMETERS)  # as Unity cuts them
        crowded = np.flatnonzero(1 + pluses + exes > size * size)
        if len(crowded):
            i = crowded[0]
            raise UnityEnvironmentException(
                f"GridWorld: {pluses[i]} numPlusGoals, {exes[i]} numExGoals and the agent do not fit into a gridSize "
                f"of {size[i]}; set a larger gridSize or fewer goals"
            )
        self.size[fresh], self.pluses[fresh], self.exes[fresh] = size, pluses, exes
        begin(
            fresh, self._rng, self.size, self.pluses, self.exes, self.x, self.z, self.goal, self._clock,
        )  # fmt: skip

    def _see(self, wanted: Array) -> list[Array]:
        """Return what the wanted agents see; the pictures of others hold anything."""
        arrange(
            self.size, self.pluses, self.exes, self.x, self.z, self._things, self._many, self._views,
        )  # fmt: skip
        images = self._painter.paint(self._things, self._many, views=self._views, wanted=wanted)
        return [images, np.eye(2, dtype=np.float32)[self.goal]]
