"""SoccerTwos: two against two, bring the ball into the other team's goal.

A field of 31 x 15 between walls with cut corners; the goals, 8.3 wide, are at x = +-15.5, blue's on the left. Players,
balls of 50 kg, decide every 5 physics steps of 0.02 s. Who touches the ball while going forward kicks it.
A goal ends the episode: the group that scored gets 1 - (share of the time that has passed), the other one -1. After
5000 physics steps the episode of both is interrupted. A player itself gets 0.2 times `ball_touch`, of which there is
none unless it is set, whenever it begins to touch the ball.

Simplified: the ball slides without friction or spin on the ground, slowed by drag alone.
"""

from __future__ import annotations

import math

import numpy as np

from mlagents_envs.base_env import ActionSpec, ActionTuple, BehaviorSpec
from mlagents_envs.examples import soccer_numba as kernel
from mlagents_envs.examples.engine.planar import DEFAULT_FRICTION, body
from mlagents_envs.examples.engine.planar_env import PlanarEnv
from mlagents_envs.examples.example import Array
from mlagents_envs.examples.sensors.rays import RaySensor, rays
from mlagents_envs.examples.sensors.rays_numba import RADIUS

BALL_TAG, BLUE_GOAL, PURPLE_GOAL, WALL, BLUE, PURPLE = range(6)
# what each team distinguishes: ball, own goal, other goal, wall, mate, opponent
CHANNELS = ((0, 1, 2, 3, 4, 5), (0, 2, 1, 3, 5, 4))
MIDDLE, EYES = 0.5, 0.5  # m: height of the middle of all balls, and how far above it rays start
FORWARD = RaySensor("RayPerceptionSensor", 6, 5, 60.0, 20.0, start=EYES, end=EYES, stack=3)
BACKWARD = RaySensor("RayPerceptionSensorReverse", 6, 1, 45.0, 20.0, start=EYES, end=EYES, stack=3, facing=180.0)

THICK = 1.5  # m, half of what walls measure outwards: more than in Unity, as a ball may be very fast
SIDES = [(0.0, z * (7.508 + THICK), 18.0, THICK) for z in (-1, 1)]
CORNERS = [  # x, z, yaw
    (
        x * (14.46 + (THICK - 0.23) * math.sin(math.radians(60))), z * (6.41 + (THICK - 0.23) / 2),
        math.radians(60.0 * x * z),
    )
    for x in (-1, 1) for z in (-1, 1)
]  # fmt: skip
NETS = [  # of the left goal, mirrored for the right one
    (-17.372 - THICK, 0.0, THICK, 4.2), (-16.5, 4.15 + THICK, 1.0, THICK), (-16.5, -4.15 - THICK, 1.0, THICK)
]  # fmt: skip
FRICTION = (DEFAULT_FRICTION + 0.1) / 2  # of players with the ground


def ball(
    radius: float, tag: int, *, mass: float, drag: float, friction: float = 0.0, bounce: float = 0.0
) -> Array:  # fmt: skip
    """Return a ball as a disc, so low that rays, which pass above its middle, meet it where they would meet a ball."""
    reach = math.sqrt((radius + RADIUS) ** 2 - EYES**2) - radius
    half = EYES - math.sqrt(RADIUS**2 - reach**2)
    return body(
        half=(radius, radius), heights=(MIDDLE - half, MIDDLE + half), round=True, tag=tag, mass=mass, drag=drag,
        friction=friction, bounce=bounce,
    )  # fmt: skip


def bodies() -> list[Array]:
    """Return what is on a field: blue, purple, ball, walls, nets."""
    # a ball slides on one point, so it feels half the friction of a box
    players = [ball(0.5, tag, mass=50.0, drag=3.0, friction=FRICTION / 2) for tag in (BLUE, BLUE, PURPLE, PURPLE)]
    high = (-0.5, 4.0)
    return [
        *players,
        ball(0.624, BALL_TAG, mass=3.0, drag=1.0, bounce=0.8),
        *(body(x, z, half=(hx, hz), heights=high, tag=WALL) for x, z, hx, hz in SIDES),
        *(body(x, z, yaw=yaw, half=(2.4, THICK), heights=high, tag=WALL) for x, z, yaw in CORNERS),
        *(
            body(side * x, z, half=(hx, hz), heights=high, tag=tag)
            for side, tag in ((1, BLUE_GOAL), (-1, PURPLE_GOAL))
            for x, z, hx, hz in NETS
        ),
    ]


class SoccerTwos(PlanarEnv):
    """Actions: 1 forward, 2 back; 1 to the right, 2 to the left, instead of that; 1 turn left, 2 turn right."""

    NAME = "SoccerTwos"
    AREAS = 8
    PER_AREA = kernel.PLAYERS
    BEHAVIORS = ("SoccerTwos?team=0", "SoccerTwos?team=1")
    GROUPED = True
    SPEC = BehaviorSpec([FORWARD.spec, BACKWARD.spec], ActionSpec.create_discrete((3, 3, 3)))
    PARAMETERS = {"ball_touch": (0.0, 0.0, 1.0)}

    def __init__(self, *, areas: int | None = None, seed: int = 0, renew_ids: bool = False) -> None:
        super().__init__(bodies(), moving=kernel.BALL + 1, areas=areas, seed=seed, renew_ids=renew_ids)
        self._behavior_index = np.tile([0, 0, 1, 1], self.areas)
        self._group = np.repeat(np.arange(1, 2 * self.areas + 1, dtype=np.int32), 2)
        self._touching = np.zeros((self.areas, kernel.PLAYERS), bool)
        self._ball_touch = np.zeros(self.areas, np.float32)
        self._rays = [tuple(rays(sensor, channels=places) for places in CHANNELS) for sensor in (FORWARD, BACKWARD)]
        self._shared = np.zeros(self.n, np.float32)  # reward of each player's group

    def _begin_in(self, areas: Array) -> None:
        self._ball_touch[areas] = self._draw("ball_touch", len(areas))
        kernel.begin(self.state, areas, self._touching, *self._rays, *self._seen)

    def _play(self, action: ActionTuple, reward: Array, done: Array, interrupted: Array) -> None:
        self._shared = np.zeros(self.n, np.float32)
        kernel.decide(
            self.state, action.discrete, self._touching, self._ball_touch, *self._rays, reward, self._shared, done,
            interrupted, *self._seen,
        )  # fmt: skip

    def _group_reward(self) -> Array:
        return self._shared
