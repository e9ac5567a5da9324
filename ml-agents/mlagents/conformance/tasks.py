"""Tiny tasks whose best answers are known. n is the number of agents; a state is a row of numbers per agent."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mlagents_envs.base_env import ActionSpec, ActionTuple, BehaviorSpec
from mlagents_envs.examples.example import vector_sensor

Array = NDArray[Any]
Draw = np.random.Generator


class Outcome(NamedTuple):
    """What came of the answers of n agents."""

    state: Array
    reward: Array  # (n,)
    done: Array  # (n,) bool
    interrupted: Array  # (n,) bool, only where done


class Task(Protocol):
    """What agents see, may do and are paid for."""

    spec: BehaviorSpec
    gamma: float
    chance: float
    """Mean reward of a row for who knows nothing."""
    best: float
    """Mean reward of a row for who knows everything."""

    def born(self, n: int, draw: Draw) -> Array:
        """Return the states in which agents begin."""

    def seen(self, state: Array) -> tuple[Array, ...]:
        """Return one (n, size) float32 per sensor."""

    def allowed(self, state: Array) -> Array:
        """Return (n, sum of branch sizes) bool."""

    def answer(self, state: Array, action: ActionTuple, draw: Draw) -> Outcome:
        """Return what came of it."""


class _Free:
    """A task that forbids nothing."""

    spec: BehaviorSpec

    def allowed(self, state: Array) -> Array:
        return np.ones((len(state), sum(self.spec.action_spec.discrete_branches)), bool)


class Echo(_Free):
    """Each branch is to say the choice that is shown to it, each number the number; every decision shows others.

    length: mean decisions of an episode, which always terminates. A state holds the right choice of each branch, then
    the right numbers, then one that means nothing.
    """

    gamma, best = 0.9, 1.0
    LARGEST_TARGET = 0.8  # numbers lie between this and its negative

    def __init__(self, actions: ActionSpec, *, length: float = 1.0) -> None:
        self.length = length
        self.branches, self.numbers = actions.discrete_branches, actions.continuous_size
        shown = sum(self.branches) + self.numbers
        self.spec = BehaviorSpec([vector_sensor(shown, "wish"), vector_sensor(1, "noise")], actions)
        parts = [1 / size for size in self.branches]
        parts += [1 - self.LARGEST_TARGET / 2] * self.numbers  # for saying 0
        self.chance = float(np.mean(parts))

    def born(self, n: int, draw: Draw) -> Array:
        right = [draw.integers(size, size=n) for size in self.branches]
        numbers = draw.uniform(-self.LARGEST_TARGET, self.LARGEST_TARGET, (n, self.numbers))
        return np.column_stack([*right, numbers, draw.uniform(-1, 1, n)])

    def seen(self, state: Array) -> tuple[Array, ...]:
        wishes = [np.eye(size)[state[:, i].astype(int)] for i, size in enumerate(self.branches)]
        wish = np.column_stack([*wishes, state[:, len(self.branches) : -1]])
        return wish.astype(np.float32), state[:, -1:].astype(np.float32)

    def answer(self, state: Array, action: ActionTuple, draw: Draw) -> Outcome:
        count = len(self.branches)
        right = action.discrete == state[:, :count]
        near = 1 - np.abs(action.continuous - state[:, count:-1])
        done = draw.random(len(state)) < 1 / self.length
        following = np.where(done[:, None], state, self.born(len(state), draw))
        return Outcome(following, np.column_stack([right, near]).mean(1), done, np.zeros(len(state), bool))


class Coin(_Free):
    """A coin nobody sees falls after each decision, and who says its side is paid: nothing can be learnt."""

    gamma, chance, best = 0.9, 0.5, 0.5

    def __init__(self, actions: ActionSpec) -> None:
        self.spec = BehaviorSpec([vector_sensor(2, "noise")], actions)

    def born(self, n: int, draw: Draw) -> Array:
        return draw.uniform(-1, 1, (n, 2))

    def seen(self, state: Array) -> tuple[Array, ...]:
        return (state.astype(np.float32),)

    def answer(self, state: Array, action: ActionTuple, draw: Draw) -> Outcome:
        return _ended(state, said(action) == draw.integers(2, size=len(state)))


class Arms:
    """Four arms pay more the later they stand, but only some may be pulled: the last of those is best."""

    gamma = 0.9
    PAYS = np.array([0.0, 0.4, 0.7, 1.0])

    def __init__(self) -> None:
        self.spec = BehaviorSpec([vector_sensor(1, "noise")], ActionSpec.create_discrete((4,)))
        masks = self._masks(np.arange(1, 15))
        self.chance = float(np.mean([self.PAYS[mask].mean() for mask in masks]))
        self.best = float(np.mean([self.PAYS[mask].max() for mask in masks]))

    @staticmethod
    def _masks(number: Array) -> Array:
        allowed: Array = (number[:, None] >> np.arange(4)) % 2 == 1
        return allowed

    def born(self, n: int, draw: Draw) -> Array:
        return np.column_stack([draw.integers(1, 15, n), draw.uniform(-1, 1, n)])

    def seen(self, state: Array) -> tuple[Array, ...]:
        return (state[:, 1:].astype(np.float32),)

    def allowed(self, state: Array) -> Array:
        return self._masks(state[:, 0].astype(int))

    def answer(self, state: Array, action: ActionTuple, draw: Draw) -> Outcome:
        return _ended(state, self.PAYS[action.discrete[:, 0]])


class Reach(_Free):
    """Walk a line to its middle, at most STRIDE a step; each step costs the distance. Eight steps, then a limit.

    A state holds the place and the steps taken.
    """

    gamma = 0.9
    STRIDE, STEPS = 0.4, 8
    chance = -0.5  # for standing still

    def __init__(self, actions: ActionSpec) -> None:
        self.spec = BehaviorSpec([vector_sensor(1, "place")], actions)
        self.best = -0.03 if actions.is_continuous() else -0.115  # whole strides end up to half a stride away

    def born(self, n: int, draw: Draw) -> Array:
        return np.column_stack([draw.uniform(-1, 1, n), np.zeros(n)])

    def seen(self, state: Array) -> tuple[Array, ...]:
        return (state[:, :1].astype(np.float32),)

    def answer(self, state: Array, action: ActionTuple, draw: Draw) -> Outcome:
        way = action.continuous[:, 0] if action.continuous.shape[1] else action.discrete[:, 0] - 1
        place = np.clip(state[:, 0] + self.STRIDE * way, -1, 1)
        steps = state[:, 1] + 1
        late = steps == self.STEPS
        return Outcome(np.column_stack([place, steps]), -np.abs(place), late, late)


class Toll(_Free):
    """Two ways to end an episode: one pays more and terminates, one pays less and is only interrupted.

    What follows an interruption counts, so that way is better: 0.75 / (1 - 0.8) = 3.75 against 1. If interruptions
    counted as terminations it would be 0.75 against 1; if terminations counted as interruptions, both would go on and
    1 would win again. A state, which is shown, says which of two choices terminates.
    """

    gamma, chance, best = 0.8, 0.875, 0.75  # so much a row, by what is right
    TERMINATES, INTERRUPTS = 1.0, 0.75

    def __init__(self, actions: ActionSpec) -> None:
        self.spec = BehaviorSpec([vector_sensor(2, "sign")], actions)

    def born(self, n: int, draw: Draw) -> Array:
        return draw.integers(2, size=(n, 1))

    def seen(self, state: Array) -> tuple[Array, ...]:
        return (np.eye(2, dtype=np.float32)[state[:, 0]],)

    def answer(self, state: Array, action: ActionTuple, draw: Draw) -> Outcome:
        terminates = said(action) == state[:, 0]
        reward = np.where(terminates, self.TERMINATES, self.INTERRUPTS)
        return Outcome(state, reward, np.ones(len(state), bool), ~terminates)


class Fork(_Free):
    """From START, choice 0 leads to HILL, 1 to PLAIN, 2 nowhere. Only the last choice is good on the HILL.

    What the choices of START are worth hangs on the best choice of the next state: 0 for the HILL, -0.4 for the PLAIN.
    Taken at any choice that START may prefer, the HILL would be worth -1, and choice 1 would be best.
    """

    gamma, chance, best = 0.9, -0.55, -0.1  # many begin on the PLAIN
    START, HILL, PLAIN = range(3)
    PAYS = np.array([[0.0, 0.0, -1.0], [-1.0, -1.0, 0.0], [-0.4, -0.4, -1.0]])  # state, choice

    def __init__(self) -> None:
        self.spec = BehaviorSpec([vector_sensor(3, "place")], ActionSpec.create_discrete((3,)))

    def born(self, n: int, draw: Draw) -> Array:
        return draw.integers(3, size=(n, 1))  # also where START would lead: no exploration is needed to see it all

    def seen(self, state: Array) -> tuple[Array, ...]:
        return (np.eye(3, dtype=np.float32)[state[:, 0]],)

    def answer(self, state: Array, action: ActionTuple, draw: Draw) -> Outcome:
        place, choice = state[:, 0], action.discrete[:, 0]
        goes_on = (place == self.START) & (choice < 2)
        following = np.where(goes_on, choice + 1, place)
        return Outcome(following[:, None], self.PAYS[place, choice], ~goes_on, np.zeros(len(place), bool))


def said(action: ActionTuple) -> Array:
    """Return (n,) which of two choices an answer means: that of its first branch, or whether its number is above 0."""
    meant: Array = action.discrete[:, 0] if action.discrete.shape[1] else (action.continuous[:, 0] > 0).astype(int)
    return meant


def _ended(state: Array, reward: Array) -> Outcome:
    """Return what came of episodes that all terminate."""
    return Outcome(state, reward, np.ones(len(state), bool), np.zeros(len(state), bool))
