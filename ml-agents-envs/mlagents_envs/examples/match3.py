"""Match3: swap neighboring pieces so that three or more of a kind stand in a line, and score what disappears.

Each episode has a board of 6 to 9 rows and 6 to 8 columns with six kinds of pieces, worth 1 point, 2 (two of ten) or 3
(one of ten). Lines disappear, pieces fall, new ones follow from above, and what lines up then scores too: +0.01 per
point. Only moves that make a line are allowed; where there is none, pieces are dealt anew. 500 moves, then the episode
is interrupted.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mlagents_envs.base_env import (
    ActionSpec,
    ActionTuple,
    BehaviorSpec,
    DimensionProperty,
    ObservationSpec,
    ObservationType,
)
from mlagents_envs.examples.example import Array, ExampleEnv, vector_sensor
from mlagents_envs.examples.match3_numba import KINDS, MOST_COLUMNS, MOST_ROWS, MOVES, SPECIALS, begin, decide

CELLS = MOST_ROWS * MOST_COLUMNS
NAMES = ("Match3 Sensor (cells)", "Match3 Sensor (special)")


def _picture_sensor(channels: int, name: str) -> ObservationSpec:
    moves = DimensionProperty.TRANSLATIONAL_EQUIVARIANCE
    shape = (channels, MOST_ROWS, MOST_COLUMNS)
    return ObservationSpec(shape, (DimensionProperty.NONE, moves, moves), ObservationType.DEFAULT, name)


class Match3(ExampleEnv):
    """Sees for each cell, row after row from the bottom, its kind (6 numbers) and its value (3), zeros off the board.

    Moves 0..62 swap a piece with the one to its right, moves 63..126 with the one above.
    size: (areas, 2) int64, rows and columns of this episode's board.
    kind, special: (areas, MOST_ROWS, MOST_COLUMNS) int8, of each piece, rows from the bottom; off the board anything.
    """

    NAME = "Match3"
    AREAS = 4
    BEHAVIORS = ("Match3VectorObs?team=0",)
    SPEC = BehaviorSpec(
        [vector_sensor(CELLS * KINDS, NAMES[0]), vector_sensor(CELLS * SPECIALS, NAMES[1])],
        ActionSpec.create_discrete((MOVES,)),
    )
    AS_PICTURE: ClassVar[bool] = False

    def __init__(self, *, areas: int | None = None, seed: int = 0, renew_ids: bool = False) -> None:
        super().__init__(areas=areas, seed=seed, renew_ids=renew_ids)
        n = self.n
        self.kind, self.special = (np.zeros((n, MOST_ROWS, MOST_COLUMNS), np.int8) for _ in range(2))
        self.size = np.zeros((n, 2), np.int64)  # rows and columns of this episode
        self._clock = np.zeros(n, np.int64)  # moves of this episode
        self._mask = np.zeros((n, MOVES), bool)  # moves that make a line
        self._matched = np.zeros((MOST_ROWS, MOST_COLUMNS), bool)  # the kernel's notes on one board
        self.set_seed(seed)

    def set_seed(self, seed: int) -> None:
        """Seed the random numbers of every area; takes effect at the next reset."""
        super().set_seed(seed)
        self._rng = np.random.default_rng(seed).integers(1, 2**63, self.n, dtype=np.uint64)  # each area's own

    def _begin(self) -> list[Array]:
        obs, (kinds, specials) = self._blank()
        begin(
            self.kind, self.special, self.size, self._clock, self._mask, self._matched, self._rng, kinds,
            specials,
        )  # fmt: skip
        return obs

    def _decide(self, action: ActionTuple) -> tuple[list[Array], Array, Array, Array, list[Array]]:
        reward, done = np.empty(self.n, np.float32), np.empty(self.n, bool)
        (obs, now), (ended, last) = self._blank(), self._blank()
        decide(
            action.discrete[:, 0], self.kind, self.special, self.size, self._clock, self._mask, self._matched,
            self._rng, reward, done, *now, *last,
        )  # fmt: skip
        return obs, reward, done, done.copy(), ended

    def _allowed(self) -> Array:
        return self._mask

    def _blank(self) -> tuple[list[Array], list[Array]]:
        """Return observations of zeros, and the same as (n, rows, columns, channels)."""
        n = self.n
        if self.AS_PICTURE:
            obs = [np.zeros((n, channels, MOST_ROWS, MOST_COLUMNS), np.float32) for channels in (KINDS, SPECIALS)]
            return obs, [column.transpose(0, 2, 3, 1) for column in obs]
        obs = [np.zeros((n, CELLS * channels), np.float32) for channels in (KINDS, SPECIALS)]
        return obs, [column.reshape(n, MOST_ROWS, MOST_COLUMNS, -1) for column in obs]


class Match3Visual(Match3):
    """Sees the same as two pictures of 9 rows and 8 columns, with a channel per kind (6) and value (3)."""

    NAME = "Match3Visual"
    BEHAVIORS = ("Match3VisualObs?team=0",)
    SPEC = BehaviorSpec(
        [_picture_sensor(KINDS, NAMES[0]), _picture_sensor(SPECIALS, NAMES[1])], ActionSpec.create_discrete((MOVES,))
    )
    AS_PICTURE = True
