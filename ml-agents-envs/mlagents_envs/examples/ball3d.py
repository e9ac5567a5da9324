"""3DBall: balance a ball on a platform. 3DBallHard: the same without observed velocities.

The platform is a 5 x 5 x 5 box that turns about its middle; the ball, of radius 0.5 scale, falls onto it from 4 above.
An agent decides every 5 physics steps of 0.02 s and turns the platform by up to 2 degrees a step about z and about x,
while the quaternion's component is inside +-0.25. The ball being lost ends the episode with -1; otherwise +0.1.

Mass is taken and changes nothing: the platform is moved by hand, so it never feels the ball's weight.
"""

from __future__ import annotations

import numpy as np

from mlagents_envs.base_env import ActionSpec, ActionTuple, BehaviorSpec
from mlagents_envs.examples.example import Array, ExampleEnv, vector_sensor
from mlagents_envs.examples.kernels import choose

FRAMES = 9  # that 3DBallHard sees


class Ball3D(ExampleEnv):
    """Sees 8 numbers: the platform's quaternion z and x, the ball's position from its middle, the ball's velocity.

    state: (areas, 13) float32, platform quaternion w x y z, ball position (m), velocity (m/s), spin (rad/s).
    radius: (areas,) float32, the ball's in this episode, in m.
    """

    NAME = "3DBall"
    AREAS = 12
    SPEC = BehaviorSpec([vector_sensor(8, "VectorSensor_size8")], ActionSpec.create_continuous(2))
    PARAMETERS = {"mass": (1.0, 1e-6, 1e6), "scale": (1.0, 0.05, 5.0), "gravity": (9.81, 0.0, 1000.0)}

    def __init__(self, *, areas: int | None = None, seed: int = 0, renew_ids: bool = False) -> None:
        super().__init__(areas=areas, seed=seed, renew_ids=renew_ids)
        n = self.areas
        self._kernel = choose("ball3d")
        self.state = np.zeros((n, 13), np.float32)  # quaternion w x y z, ball position, velocity, spin
        self._end_state = np.zeros((n, 13), np.float32)  # in which each area's last episode ended
        self._clock = np.zeros(n, np.int32)  # physics steps of this episode
        self.radius = np.zeros(n, np.float32)  # of the ball in this episode
        self._next_radius = np.zeros(n, np.float32)  # and in the next
        self.set_seed(seed)

    def set_seed(self, seed: int) -> None:
        """Seed the random numbers of every area; takes effect at the next reset."""
        super().set_seed(seed)
        self._rng = np.random.default_rng(seed).integers(1, 2**63, self.areas, dtype=np.uint64)  # each area's own

    def _begin(self) -> list[Array]:
        self._next_radius[:] = self._draw_radius(self.areas)
        self._kernel.begin(self.state, self._rng, self._clock, self.radius, self._next_radius)
        return self._see(self._look(), None)

    def _decide(self, action: ActionTuple) -> tuple[list[Array], Array, Array, Array, list[Array]]:
        n = self.areas
        reward, done, interrupted = np.empty(n, np.float32), np.zeros(n, bool), np.zeros(n, bool)
        last, now = np.zeros((n, 8), np.float32), np.empty((n, 8), np.float32)
        self._kernel.decide(
            self.state, self._rng, self._clock, self.radius, self._next_radius, action.continuous,
            self._draw("gravity", 1)[0], reward, done, interrupted, last, now, self._end_state,
        )  # fmt: skip
        if not done.any():
            return self._see(now, None), reward, done, interrupted, []
        self._next_radius[done] = self._draw_radius(int(done.sum()))
        ended = self._see_last(last, done)
        return self._see(now, done), reward, done, interrupted, ended

    def _draw_radius(self, n: int) -> Array:
        return (0.5 * self._draw("scale", n)).astype(np.float32)

    def _look(self) -> Array:
        return np.ascontiguousarray(self.state[:, [3, 1, 4, 5, 6, 7, 8, 9]])

    def _see(self, now: Array, fresh: Array | None) -> list[Array]:
        """Return what agents see; fresh: (n,) bool, whose episode has just begun (None: no agent's)."""
        return [now]

    def _see_last(self, last: Array, done: Array) -> list[Array]:
        """Return what agents see at the end of their episode; only those that are done count."""
        return [last]


class Ball3DHard(Ball3D):
    """Sees the last nine positions of the ball (27) and rotations of the platform (18), newest last."""

    NAME = "3DBallHard"
    SPEC = BehaviorSpec(
        [vector_sensor(27, "StackingSensor_position"), vector_sensor(18, "StackingSensor_rotation")],
        ActionSpec.create_continuous(2),
    )

    def _begin(self) -> list[Array]:
        self._frames = [np.zeros((self.areas, 3 * FRAMES), np.float32), np.zeros((self.areas, 2 * FRAMES), np.float32)]
        return super()._begin()

    def _see(self, now: Array, fresh: Array | None) -> list[Array]:
        if fresh is not None:
            for frames in self._frames:
                frames[fresh] = 0.0
        self._frames = self._with_frame(now)
        return [frames.copy() for frames in self._frames]

    def _see_last(self, last: Array, done: Array) -> list[Array]:
        return self._with_frame(last)

    def _with_frame(self, newest: Array) -> list[Array]:
        position, rotation = self._frames
        return [np.hstack([position[:, 3:], newest[:, 2:5]]), np.hstack([rotation[:, 2:], newest[:, :2]])]
