"""The rules of Match3, one area after another, compiled.

kind, special: (n, 9, 8) int8, row 0 at the bottom, of which each area uses its own rows and columns. A move swaps a
piece with its neighbor to the right, moves 0..62, or above, moves 63..126, both counted along rows.
"""

from __future__ import annotations

import numpy as np

from mlagents_envs.compiled import compiled
from mlagents_envs.examples.engine.rng_numba import draw

F = np.float32
MOST_ROWS, MOST_COLUMNS, FEWEST = 9, 8, 6
KINDS, SPECIALS = 6, 3
SIDEWAYS = MOST_ROWS * (MOST_COLUMNS - 1)  # moves to the right
MOVES = SIDEWAYS + (MOST_ROWS - 1) * MOST_COLUMNS
LIMIT = 500  # moves of an episode
EMPTY = -1


@compiled(inline="always")
def neighbors(move):
    """Return row and column of a move's two pieces."""
    if move < SIDEWAYS:
        row, column = move // (MOST_COLUMNS - 1), move % (MOST_COLUMNS - 1)
        return row, column, row, column + 1
    row, column = (move - SIDEWAYS) // MOST_COLUMNS, (move - SIDEWAYS) % MOST_COLUMNS
    return row, column, row + 1, column


@compiled(inline="always")
def swap(board, row, column, other_row, other_column):
    """Swap two cells; a second time puts them back."""
    board[row, column], board[other_row, other_column] = board[other_row, other_column], board[row, column]


@compiled(inline="always")
def in_line(kind, rows, columns, row, column):
    """Does the piece in this cell stand in a line of three or more?"""
    same, left, right, bottom, top = kind[row, column], column, column, row, row
    while left > 0 and kind[row, left - 1] == same:
        left -= 1
    while right < columns - 1 and kind[row, right + 1] == same:
        right += 1
    while bottom > 0 and kind[bottom - 1, column] == same:
        bottom -= 1
    while top < rows - 1 and kind[top + 1, column] == same:
        top += 1
    return right - left >= 2 or top - bottom >= 2


@compiled()
def find_moves(kind, rows, columns, allowed):
    """Write which moves make a line of three or more; return whether there is one."""
    some = False
    for move in range(MOVES):
        row, column, other_row, other_column = neighbors(move)
        allowed[move] = False
        if other_row < rows and other_column < columns and kind[row, column] != kind[other_row, other_column]:
            swap(kind, row, column, other_row, other_column)
            if in_line(kind, rows, columns, row, column) or in_line(kind, rows, columns, other_row, other_column):
                allowed[move] = some = True
            swap(kind, row, column, other_row, other_column)
    return some


@compiled()
def mark(kind, rows, columns, matched):
    """Mark all pieces that stand in a line of three or more; return whether there are any."""
    matched[:] = False
    some = False
    for row in range(rows):
        for column in range(columns):
            same = kind[row, column]
            if column >= 2 and same == kind[row, column - 1] and same == kind[row, column - 2]:
                matched[row, column] = matched[row, column - 1] = matched[row, column - 2] = some = True
            if row >= 2 and same == kind[row - 1, column] and same == kind[row - 2, column]:
                matched[row, column] = matched[row - 1, column] = matched[row - 2, column] = some = True
    return some


@compiled()
def new_piece(kind, special, row, column, rng, i):
    """Draw a piece: one of ten is worth 3 points, two of ten 2, the others 1."""
    kind[row, column] = draw(rng, i, KINDS)
    luck = draw(rng, i, 10)
    special[row, column] = 2 if luck == 0 else 1 if luck <= 2 else 0


@compiled()
def settle(kind, special, rows, columns, matched, rng, i):
    """Clear lines, let pieces fall and new ones follow, until there are no lines; return the points."""
    points = 0
    while mark(kind, rows, columns, matched):
        for column in range(columns):
            bottom = 0
            for row in range(rows):
                if matched[row, column]:
                    points += 1 + special[row, column]
                else:
                    kind[bottom, column], special[bottom, column] = kind[row, column], special[row, column]
                    bottom += 1
            for row in range(bottom, rows):
                new_piece(kind, special, row, column, rng, i)
    return points


@compiled()
def deal(kind, special, rows, columns, matched, allowed, rng, i):
    """Deal boards without lines until there is one with a move."""
    some = False
    while not some:
        for row in range(rows):
            for column in range(columns):
                new_piece(kind, special, row, column, rng, i)
        settle(kind, special, rows, columns, matched, rng, i)
        some = find_moves(kind, rows, columns, allowed)


@compiled()
def begin_one(kind, special, size, clock, allowed, matched, rng, i):
    """Begin an episode with a board of 6 to 9 rows and 6 to 8 columns."""
    size[i, 0] = FEWEST + draw(rng, i, MOST_ROWS - FEWEST + 1)
    size[i, 1] = FEWEST + draw(rng, i, MOST_COLUMNS - FEWEST + 1)
    clock[i] = 0
    deal(kind[i], special[i], size[i, 0], size[i, 1], matched, allowed[i], rng, i)


@compiled()
def look(kind, special, size, kinds_seen, specials_seen, i):
    """Write one-hot what the agent sees over zeros: (9, 8, 6) kinds and (9, 8, 3) specials."""
    for row in range(size[i, 0]):
        for column in range(size[i, 1]):
            kinds_seen[i, row, column, kind[i, row, column]] = F(1.0)
            specials_seen[i, row, column, special[i, row, column]] = F(1.0)


@compiled()
def begin(kind, special, size, clock, allowed, matched, rng, kinds_seen, specials_seen):
    """Begin every episode."""
    for i in range(len(clock)):
        begin_one(kind, special, size, clock, allowed, matched, rng, i)
        look(kind, special, size, kinds_seen, specials_seen, i)


@compiled()
def decide(
    action, kind, special, size, clock, allowed, matched, rng, reward, done, now_kinds, now_specials, last_kinds,
    last_specials,
):  # fmt: skip
    """Make every agent's move and what follows from it. Writes all of the last six; `last` only where one ended."""
    for i in range(len(clock)):
        if 0 <= action[i] < MOVES and allowed[i, action[i]]:  # others change nothing, but count
            row, column, other_row, other_column = neighbors(action[i])
            swap(kind[i], row, column, other_row, other_column)
            swap(special[i], row, column, other_row, other_column)
        points = settle(kind[i], special[i], size[i, 0], size[i, 1], matched, rng, i)
        reward[i] = F(0.01) * F(points)
        if not find_moves(kind[i], size[i, 0], size[i, 1], allowed[i]):
            deal(kind[i], special[i], size[i, 0], size[i, 1], matched, allowed[i], rng, i)
        clock[i] += 1
        done[i] = clock[i] >= LIMIT
        if done[i]:
            look(kind, special, size, last_kinds, last_specials, i)
            begin_one(kind, special, size, clock, allowed, matched, rng, i)
        look(kind, special, size, now_kinds, now_specials, i)
