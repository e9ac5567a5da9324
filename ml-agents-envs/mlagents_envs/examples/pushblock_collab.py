"""PushBlockCollab: three agents push six blocks into the goal; the heavy ones take two or all three of them.

The field is PushBlock's, 25 x 25, with the goal along its side at z = -12.5. Of each kind there are two blocks: small
(1 m, 10 kg, worth 1), large (2 m, 100 kg, worth 2) and very large (3 m, 150 kg, worth 3); they turn when pushed.
Agents, cubes of 10 kg, decide every 5 physics steps of 0.02 s. A block that touches the goal vanishes, and the group
gets what it is worth; each physics step costs the group 0.5/5000. The episode of all three ends when no block is left,
and is interrupted after 5000 physics steps.
"""

from __future__ import annotations

import numpy as np

from mlagents_envs.base_env import ActionSpec, ActionTuple, BehaviorSpec
from mlagents_envs.examples import pushblock_collab_numba as kernel
from mlagents_envs.examples.engine.planar import DEFAULT_FRICTION, body
from mlagents_envs.examples.engine.planar_env import PlanarEnv
from mlagents_envs.examples.example import Array, vector_sensor
from mlagents_envs.examples.sensors.gridsensor import GridSensor, grid

WALL, AGENT, GOAL, SMALL, LARGE, VERY_LARGE = range(6)  # tags
GRID = GridSensor("GridSensor", 6, 20, 20, ahead=10.0)
BLOCKS = [
    (tag, edge, mass, worth)
    for tag, edge, mass, worth in (
        (SMALL, 1.0, 10.0, 1.0), (LARGE, 2.0, 100.0, 2.0), (VERY_LARGE, 3.0, 150.0, 3.0)
    )
    for _ in range(2)
]  # fmt: skip
WALLS = ((12.75, 0.0, 0.25, 13.0), (-12.75, 0.0, 0.25, 13.0), (0.0, 12.75, 12.5, 0.25), (0.0, -12.75, 12.5, 0.25))


def bodies() -> list[Array]:
    """Return what is in an area: agents, blocks, the goal, walls."""
    return [
        *(body(mass=10.0, drag=4.0, friction=DEFAULT_FRICTION, tag=AGENT) for _ in range(kernel.AGENTS)),
        *(
            body(
                half=(edge / 2, edge / 2), heights=(0.0, 0.75), mass=mass, turns=True, drag=0.5,
                friction=DEFAULT_FRICTION, tag=tag,
            )
            for tag, edge, mass, _ in BLOCKS
        ),
        body(0.0, -10.5, half=(12.5, 2.15), heights=(-0.53, 2.47), tag=GOAL, solid=False),
        *(body(x, z, half=(hx, hz), heights=(-0.5, 4.5), tag=WALL) for x, z, hx, hz in WALLS),
    ]  # fmt: skip


class PushBlockCollab(PlanarEnv):
    """Action: 0 nothing, 1 forward, 2 back, 3 turn right, 4 turn left, 5 to the left, 6 to the right.

    An agent sees a grid ahead of it and feels its own velocity, x y z as it looks; seven numbers more never change.
    """

    NAME = "PushBlockCollab"
    AREAS = 4
    PER_AREA = kernel.AGENTS
    GROUPED = True
    SPEC = BehaviorSpec(
        [GRID.spec, vector_sensor(10, "PhysicsBody:PushBlockAgentGridCollab")], ActionSpec.create_discrete((7,))
    )

    def __init__(self, *, areas: int | None = None, seed: int = 0, renew_ids: bool = False) -> None:
        super().__init__(bodies(), moving=kernel.GOAL, areas=areas, seed=seed, renew_ids=renew_ids)
        self._group = np.repeat(np.arange(1, self.areas + 1, dtype=np.int32), kernel.AGENTS)
        self._worth = np.array([worth for *_, worth in BLOCKS], np.float32)
        self._grid = grid(GRID)
        self._seen[1][:, 9] = 1.0  # w of the quaternion of a body as it sees itself; the rest is zero
        self._shared = np.zeros(self.n, np.float32)  # reward of each agent's group

    def _begin_in(self, areas: Array) -> None:
        kernel.begin(self.state, areas, self._grid, *self._seen)

    def _play(self, action: ActionTuple, reward: Array, done: Array, interrupted: Array) -> None:
        self._shared = np.zeros(self.n, np.float32)
        kernel.decide(
            self.state, action.discrete, self._worth, self._grid, self._shared, done, interrupted, *self._seen
        )  # fmt: skip

    def _group_reward(self) -> Array:
        return self._shared
