"""Match3: a board of tiles that lies flat; tiles worth more bear a stone, the larger the more."""

from __future__ import annotations

import numpy as np

from mlagents_envs.examples.drawing import BLUE, CYAN, DARK, GREEN, ORANGE, PURPLE, RED, WHITE, Drawing, shapes
from mlagents_envs.examples.look.look import Look
from mlagents_envs.examples.match3 import Match3
from mlagents_envs.examples.match3_numba import MOST_COLUMNS, MOST_ROWS

COLORS = np.array([RED, BLUE, GREEN, ORANGE, PURPLE, CYAN])  # of kinds


def draw(env: Match3, area: int) -> Drawing:
    """Return an area as it looks now."""
    rows, columns = env.size[area].tolist()
    row, column = (cells.ravel() for cells in np.indices((rows, columns)))
    kind, points = (board[area, :rows, :columns].ravel() for board in (env.kind, env.special))
    at = np.stack([column - (columns - 1) / 2, np.full(len(row), 0.15), row - (rows - 1) / 2], axis=1)
    board = shapes((0, -0.1, 0), size=(columns + 0.3, 0.2, rows + 0.3), color=DARK)
    tiles = shapes(at, size=(0.86, 0.3, 0.86), color=COLORS[kind])
    dear = points > 0
    stones = shapes(at[dear] + (0, 0.15, 0), size=0.3 * points[dear, None].repeat(3, axis=1), color=WHITE)
    return Drawing(np.concatenate([board, tiles]), stones, np.array([[0, 0.5, rows / 2]], np.float32))


LOOK = Look(draw, (MOST_COLUMNS + 2.0, MOST_ROWS + 2.0), seconds=0.4, yaw=0.0, pitch=68.0)
