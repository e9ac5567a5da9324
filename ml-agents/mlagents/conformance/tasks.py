"""Tiny tasks with known best policies. n is the number of agents; a state is one row of numbers per agent."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mlagents_envs.base_env import ActionSpec, ActionTuple, BehaviorSpec
from mlagents_envs.examples.example import vector_sensor

Array = NDArray[Any]
Generator = np.random.Generator


class Transition(NamedTuple):
    """The result of one step of n agents."""

    state: Array  # (n, S)
    reward: Array  # (n,)
    done: Array  # (n,) bool
    interrupted: Array  # (n,) bool, only where done


class Task(Protocol):
    """A vectorized Markov decision process without state of its own."""

    spec: BehaviorSpec
    gamma: float
    random_reward: float
    """Mean reward per row of a policy that knows nothing."""
    best_reward: float
    """Mean reward per row of the best policy."""

    def reset(self, n: int, rng: Generator) -> Array:
        """Return n initial states, (n, S)."""

    def observe(self, state: Array) -> tuple[Array, ...]:
        """Return one (n, size) float32 per sensor."""

    def allowed(self, state: Array) -> Array:
        """Return the action mask, (n, sum of branch sizes) bool, True = allowed."""

    def step(self, state: Array, action: ActionTuple, rng: Generator) -> Transition:
        """Return the transitions from these states."""


class _Unmasked(Task):
    """A task that allows every action."""

    def allowed(self, state: Array) -> Array:
        """Return the action mask, all True."""
        return np.ones((len(state), sum(self.spec.action_spec.discrete_branches)), bool)


class CopyTask(_Unmasked):
    """The observation shows the right action, anew for each decision; the reward is the share that is copied.

    length: mean decisions of an episode, which always terminates. A state holds the right action of each branch, then
    the right continuous actions, then one number of noise.
    """

    gamma, best_reward = 0.9, 1.0
    LARGEST_TARGET = 0.8  # continuous targets are uniform between its negative and this

    def __init__(self, actions: ActionSpec, *, length: float = 1.0) -> None:
        self.length = length
        self.branches, self.numbers = actions.discrete_branches, actions.continuous_size
        size = sum(self.branches) + self.numbers
        self.spec = BehaviorSpec([vector_sensor(size, "target"), vector_sensor(1, "noise")], actions)
        parts = [1 / size for size in self.branches]
        parts += [1 - self.LARGEST_TARGET / 2] * self.numbers  # for the constant action 0
        self.random_reward = float(np.mean(parts))

    def reset(self, n: int, rng: Generator) -> Array:
        discrete = [rng.integers(size, size=n) for size in self.branches]
        continuous = rng.uniform(-self.LARGEST_TARGET, self.LARGEST_TARGET, (n, self.numbers))
        return np.column_stack([*discrete, continuous, rng.uniform(-1, 1, n)])

    def observe(self, state: Array) -> tuple[Array, ...]:
        one_hots = [np.eye(size)[state[:, i].astype(int)] for i, size in enumerate(self.branches)]
        target = np.column_stack([*one_hots, state[:, len(self.branches) : -1]])
        return target.astype(np.float32), state[:, -1:].astype(np.float32)

    def step(self, state: Array, action: ActionTuple, rng: Generator) -> Transition:
        count = len(self.branches)
        right = action.discrete == state[:, :count]
        near = 1 - np.abs(action.continuous - state[:, count:-1])
        done = rng.random(len(state)) < 1 / self.length
        following = np.where(done[:, None], state, self.reset(len(state), rng))
        return Transition(following, np.column_stack([right, near]).mean(1), done, np.zeros(len(state), bool))


class CoinTask(_Unmasked):
    """A coin is tossed after each decision, and the reward is 1 if it was guessed: nothing can be learned."""

    gamma, random_reward, best_reward = 0.9, 0.5, 0.5

    def __init__(self, actions: ActionSpec) -> None:
        self.spec = BehaviorSpec([vector_sensor(2, "noise")], actions)

    def reset(self, n: int, rng: Generator) -> Array:
        return rng.uniform(-1, 1, (n, 2))

    def observe(self, state: Array) -> tuple[Array, ...]:
        return (state.astype(np.float32),)

    def step(self, state: Array, action: ActionTuple, rng: Generator) -> Transition:
        return _terminated(state, binary_action(action) == rng.integers(2, size=len(state)))


class MaskedBandit(Task):
    """A bandit with four arms, of which a random subset is allowed; the last allowed one pays most."""

    gamma = 0.9
    REWARDS = np.array([0.0, 0.4, 0.7, 1.0])  # one per arm

    def __init__(self) -> None:
        self.spec = BehaviorSpec([vector_sensor(1, "noise")], ActionSpec.create_discrete((4,)))
        masks = self._masks(np.arange(1, 15))
        self.random_reward = float(np.mean([self.REWARDS[mask].mean() for mask in masks]))
        self.best_reward = float(np.mean([self.REWARDS[mask].max() for mask in masks]))

    @staticmethod
    def _masks(number: Array) -> Array:
        allowed: Array = (number[:, None] >> np.arange(4)) % 2 == 1
        return allowed

    def reset(self, n: int, rng: Generator) -> Array:
        return np.column_stack([rng.integers(1, 15, n), rng.uniform(-1, 1, n)])

    def observe(self, state: Array) -> tuple[Array, ...]:
        return (state[:, 1:].astype(np.float32),)

    def allowed(self, state: Array) -> Array:
        return self._masks(state[:, 0].astype(int))

    def step(self, state: Array, action: ActionTuple, rng: Generator) -> Transition:
        return _terminated(state, self.REWARDS[action.discrete[:, 0]])


class ReachTask(_Unmasked):
    """Walk along [-1, 1] to 0, at most STRIDE a step; each step costs the distance to 0. Interrupted after STEPS.

    A state holds the position and the number of steps taken.
    """

    gamma = 0.9
    STRIDE, STEPS = 0.4, 8
    random_reward = -0.5  # of standing still

    def __init__(self, actions: ActionSpec) -> None:
        self.spec = BehaviorSpec([vector_sensor(1, "position")], actions)
        self.best_reward = -0.03 if actions.is_continuous() else -0.115  # whole strides end up to half a stride away

    def reset(self, n: int, rng: Generator) -> Array:
        return np.column_stack([rng.uniform(-1, 1, n), np.zeros(n)])

    def observe(self, state: Array) -> tuple[Array, ...]:
        return (state[:, :1].astype(np.float32),)

    def step(self, state: Array, action: ActionTuple, rng: Generator) -> Transition:
        direction = action.continuous[:, 0] if action.continuous.shape[1] else action.discrete[:, 0] - 1
        position = np.clip(state[:, 0] + self.STRIDE * direction, -1, 1)
        steps = state[:, 1] + 1
        late = steps == self.STEPS
        return Transition(np.column_stack([position, steps]), -np.abs(position), late, late)


class InterruptionTask(_Unmasked):
    """Every step ends the episode: one action terminates it with reward 1, the other interrupts it with reward 0.75.

    The return goes on after an interruption, so that interrupting is better: 0.75 / (1 - 0.8) = 3.75 against 1. If
    interruptions counted as terminations it would be 0.75 against 1; if terminations counted as interruptions, both
    would go on and 1 would win again. A state, which is observed, says which of the two actions terminates.
    """

    gamma = 0.8
    random_reward, best_reward = 0.875, 0.75  # per row; the best policy gets less of it, but a larger return
    TERMINATES, INTERRUPTS = 1.0, 0.75

    def __init__(self, actions: ActionSpec) -> None:
        self.spec = BehaviorSpec([vector_sensor(2, "sign")], actions)

    def reset(self, n: int, rng: Generator) -> Array:
        return rng.integers(2, size=(n, 1))

    def observe(self, state: Array) -> tuple[Array, ...]:
        return (np.eye(2, dtype=np.float32)[state[:, 0]],)

    def step(self, state: Array, action: ActionTuple, rng: Generator) -> Transition:
        terminates = binary_action(action) == state[:, 0]
        reward = np.where(terminates, self.TERMINATES, self.INTERRUPTS)
        return Transition(state, reward, np.ones(len(state), bool), ~terminates)


class TwoStepTask(_Unmasked):
    """From FIRST, action 0 leads to LEFT, action 1 to RIGHT, action 2 ends the episode with -1.

    In LEFT and RIGHT every action ends the episode; in LEFT only action 2 is good. The values of FIRST's actions follow
    from the best action of the next state: 0 for LEFT, -0.4 for RIGHT. Taken at an action that is good in FIRST, LEFT
    would have the value -1, and action 1 would be best.
    """

    gamma, best_reward = 0.9, -0.1
    random_reward = -0.55  # many episodes begin in RIGHT
    FIRST, LEFT, RIGHT = range(3)
    REWARDS = np.array([[0.0, 0.0, -1.0], [-1.0, -1.0, 0.0], [-0.4, -0.4, -1.0]])  # [state, action]

    def __init__(self) -> None:
        self.spec = BehaviorSpec([vector_sensor(3, "state")], ActionSpec.create_discrete((3,)))

    def reset(self, n: int, rng: Generator) -> Array:
        return rng.integers(3, size=(n, 1))  # in all three states, so that no exploration is needed to reach them

    def observe(self, state: Array) -> tuple[Array, ...]:
        return (np.eye(3, dtype=np.float32)[state[:, 0]],)

    def step(self, state: Array, action: ActionTuple, rng: Generator) -> Transition:
        place, choice = state[:, 0], action.discrete[:, 0]
        goes_on = (place == self.FIRST) & (choice < 2)
        following = np.where(goes_on, choice + 1, place)
        return Transition(following[:, None], self.REWARDS[place, choice], ~goes_on, np.zeros(len(place), bool))


class RecallTask(_Unmasked):
    """A cue is shown at the first of LENGTH decisions, which earns 1 for the other choice; the later ones for the cue.

    So to go on as one began is wrong. A state holds the cue, 0 or 1, and the number of decisions taken. Without memory,
    only the first choice can be known: 0.625 in the mean.
    """

    gamma, best_reward, LENGTH = 0.5, 1.0, 4

    def __init__(self, actions: ActionSpec) -> None:
        self.spec = BehaviorSpec([vector_sensor(2, "cue")], actions)
        self.random_reward = 1 / actions.discrete_branches[0] if actions.discrete_branches else 0.5

    def reset(self, n: int, rng: Generator) -> Array:
        return np.column_stack([rng.integers(2, size=n), np.zeros(n)])

    def observe(self, state: Array) -> tuple[Array, ...]:
        first = state[:, 1] == 0
        return (np.column_stack([first * (2 * state[:, 0] - 1), first]).astype(np.float32),)

    def step(self, state: Array, action: ActionTuple, rng: Generator) -> Transition:
        decisions = state[:, 1] + 1
        wanted = np.where(state[:, 1] == 0, 1 - state[:, 0], state[:, 0])
        right = (binary_action(action) == wanted).astype(np.float32)
        last = decisions == self.LENGTH
        return Transition(np.column_stack([state[:, 0], decisions]), right, last, np.zeros(len(state), bool))


def binary_action(action: ActionTuple) -> Array:
    """Return (n,) 0 or 1: the first branch's action, or whether the first continuous action is above 0."""
    binary: Array = action.discrete[:, 0] if action.discrete.shape[1] else (action.continuous[:, 0] > 0).astype(int)
    return binary


def _terminated(state: Array, reward: Array) -> Transition:
    """Return transitions that all terminate."""
    return Transition(state, reward, np.ones(len(state), bool), np.zeros(len(state), bool))
