"""What Unity's scenes of walking bodies have in common: a target, a wanted velocity, and a reward for going there.

A body begins in the middle of wide level ground, turned at random, and should move to a target cube; one that it
reaches appears elsewhere, up to 40 m from the middle. Observations are in its root's frame, whose z, *ahead*, is
level and to the target. It decides every 5 physics steps of 1/75 s; after 5000 the episode is interrupted.

The cards are Unity's, the physics is MuJoCo's, with springs of its own: Unity's policies cannot walk here, and what an
agent earns here is not comparable with Unity.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from mlagents_envs.base_env import ActionTuple
from mlagents_envs.examples.engine.ragdoll import BodyPart, Drive, Ragdolls
from mlagents_envs.examples.example import Array, ExampleEnv

STEPS, LIMIT = 5, 5000  # physics steps of a decision, of an episode
FIELD = 40.0  # m from the middle within which targets appear
HEIGHT = 0.5  # m, of a target's middle
REACH = 1.0  # m from a target's middle, at which a part's middle touches it
LEVEL = np.array([1.0, 0.0, 1.0], np.float32)


class Locomotion(ExampleEnv):
    """Bodies of one build. A subclass defines the parts, the actions, the observations and the reward.

    ragdolls: the simulated bodies; part_index: name of a part -> its index k in the columns of `ragdolls`.
    target: (n, 3) float32, m; wanted_speed: (n,) float32, m/s, towards the target.
    """

    AREAS = 10
    DRIVE: ClassVar[Drive]
    SLOWEST: ClassVar[float]  # m/s; what is wanted is drawn anew for every episode
    FASTEST: ClassVar[float]
    FALLEN: ClassVar[float | None]  # the reward of a decision in which a body falls; None: what it has earned

    def __init__(self, *, areas: int | None = None, seed: int = 0, renew_ids: bool = False) -> None:
        super().__init__(areas=areas, seed=seed, renew_ids=renew_ids)
        n = self.n
        self.ragdolls = Ragdolls(self._parts(), self.DRIVE, n)
        self.part_index = {part.name: k for k, part in enumerate(self.ragdolls.parts)}
        self.target = np.full((n, 3), HEIGHT, np.float32)
        self.wanted_speed = np.zeros(n, np.float32)  # m/s
        self._clock = np.zeros(n, np.int64)  # physics steps of this episode
        self.set_seed(seed)

    # what a subclass writes

    @staticmethod
    @abstractmethod
    def _parts() -> Sequence[BodyPart]:
        """Return how a body is built, the root first."""

    @abstractmethod
    def _act(self, action: Array) -> None:
        """Set what joints strive for; action: (n, actions) in -1..1."""

    @abstractmethod
    def _observe(self) -> list[Array]:
        """Return what all agents see, one (n, *shape) per sensor."""

    @abstractmethod
    def _earn(self) -> Array:
        """Return the (n,) reward for the physics step just made."""

    @abstractmethod
    def _fallen(self) -> Array:
        """Return whose episode this physics step ends, (n,) bool."""

    # what all have

    def set_seed(self, seed: int) -> None:
        """Seed the random numbers of every area; takes effect at the next reset."""
        super().set_seed(seed)
        self._rng = [np.random.default_rng((seed, area)) for area in range(self.n)]  # each area's own

    def _begin(self) -> list[Array]:
        everyone = np.arange(self.n)
        self._move_targets(everyone)
        self._begin_in(everyone)
        return self._observe()

    def _decide(self, action: ActionTuple) -> tuple[list[Array], Array, Array, Array, list[Array]]:
        reward, done, interrupted = np.zeros(self.n, np.float32), np.zeros(self.n, bool), np.zeros(self.n, bool)
        self._act(action.continuous.clip(-1.0, 1.0))
        for _ in range(STEPS):
            alive = ~done
            self.ragdolls.step(np.flatnonzero(alive))
            self._clock += alive
            broken = self.ragdolls.broken()
            reward += np.where(alive & ~broken, self._earn(), 0.0)
            fallen = alive & (self._fallen() | broken)
            if self.FALLEN is not None:
                reward[fallen] = self.FALLEN
            interrupted |= alive & ~fallen & (self._clock >= LIMIT)
            done |= fallen | interrupted
        last = [np.nan_to_num(column) for column in self._observe()] if done.any() else []
        self._move_targets(np.flatnonzero(self._reached()))
        self._begin_in(np.flatnonzero(done))
        return self._observe(), reward, done, interrupted, last

    def _begin_in(self, who: Array) -> None:
        draws = np.array([self._rng[i].random(2) for i in who]).reshape(-1, 2)
        self.wanted_speed[who] = self.SLOWEST + (self.FASTEST - self.SLOWEST) * draws[:, 0]
        self._clock[who] = 0
        self.ragdolls.begin(who, 2 * np.pi * draws[:, 1])

    def _move_targets(self, who: Array) -> None:
        """Let targets appear anywhere in a ball that is then pressed flat."""
        for i in who:
            way = self._rng[i].normal(size=3)
            place = FIELD * self._rng[i].random() ** (1 / 3) * way / np.linalg.norm(way)
            self.target[i, 0], self.target[i, 2] = place[0], place[2]

    def _reached(self) -> Array:
        apart = np.linalg.norm(self.ragdolls.position - self.target[:, None], axis=2)
        reached: Array = (apart < REACH).any(axis=1)
        return reached

    # parts of observations

    def _ahead(self) -> Array:
        """Return (n, 3) the level directions to the targets."""
        way = (self.target - self.ragdolls.position[:, 0]) * LEVEL
        ahead: Array = way / np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-6)
        return ahead

    def _goal(self) -> Array:
        """Return (n, 3) the wanted velocities."""
        goal: Array = self._ahead() * self.wanted_speed[:, None]
        return goal

    def _as_seen(self, vectors: Array) -> Array:
        """Return (n, 3) or (n, k, 3) vectors as who looks ahead sees them: to the right, up, and there."""
        ahead = self._ahead()
        s, c = (ahead[:, k].reshape(-1, *[1] * (vectors.ndim - 2)) for k in (0, 2))
        x, y, z = np.moveaxis(vectors, -1, 0)
        return np.stack([c * x - s * z, y, s * x + c * z], axis=-1)

    def _match(self, velocity: Array) -> Array:
        """Return in 0..1 how near (n, 3) velocities are to what is wanted: (1 - (off / wanted)^2)^2."""
        off = np.linalg.norm(velocity - self._goal(), axis=1)
        near: Array = (1.0 - (np.minimum(off, self.wanted_speed) / self.wanted_speed) ** 2) ** 2
        return near
