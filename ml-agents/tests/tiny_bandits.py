"""Bandits of one decision an episode: what an agent sees says, each in its own way, which of two choices is right.

Several agents decide at once. A policy that sees nothing of it is right half of the time.
"""

import numpy as np

from mlagents.algorithms.making import construct
from mlagents.algorithms.trainer import TrainerSetup
from mlagents.collect.behavior import Behavior
from mlagents.envs.steps import StepBatch
from mlagents.nn.settings import NetworkSettings
from mlagents.rewards.signal import Extrinsic
from mlagents_envs.base_env import ActionSpec, BehaviorSpec, DimensionProperty, ObservationSpec, ObservationType
from mlagents_envs.examples.example import vector_sensor

AGENTS = 16
WINDOW = 40  # steps of all agents that a score is the mean of
TWO = ActionSpec.create_discrete((2,))
NONE, MOVES, MANY = (
    DimensionProperty.NONE, DimensionProperty.TRANSLATIONAL_EQUIVARIANCE, DimensionProperty.VARIABLE_SIZE,
)  # fmt: skip


def image(side, name="Camera"):
    return ObservationSpec((1, side, side), (NONE, MOVES, MOVES), ObservationType.DEFAULT, name)


class Bandit:
    spec: BehaviorSpec

    def __init__(self, seed=0):
        self.rng, self.born = np.random.default_rng(seed), 0
        self.scores = []  # share of right choices of every step

    def begin(self):
        return self._batch(np.zeros(0, np.float32), None)

    def step(self, actions):
        right = self.is_right(actions)
        self.scores.append(right.mean())
        return self._batch(self.reward(right.astype(np.float32)), self.seen)

    def is_right(self, actions):
        """Return (n,) bool; of a continuous action, its sign counts."""
        choice = actions.discrete[:, 0] if actions.discrete.shape[1] else actions.continuous[:, 0] > 0
        return choice == self.right

    def reward(self, right):
        return right

    def _batch(self, reward, last):
        self.right = self.rng.integers(2, size=AGENTS)
        self.seen = self.look(self.right)
        ended = np.arange(self.born - len(reward), self.born)
        self.born += AGENTS
        n, choices = len(reward) + AGENTS, sum(self.spec.action_spec.discrete_branches)
        return StepBatch(
            np.concatenate([ended, np.arange(self.born - AGENTS, self.born)]),
            self.seen if last is None else tuple(np.concatenate(both) for both in zip(last, self.seen, strict=True)),
            np.ones((n, choices), bool), np.concatenate([reward, np.zeros(AGENTS, np.float32)]),
            np.zeros(n, np.int64), np.zeros(n, np.float32), np.arange(n) < len(reward), np.zeros(n, bool),
        )  # fmt: skip

    def noise(self):
        return self.rng.normal(size=(AGENTS, 1)).astype(np.float32)


class Picture(Bandit):
    """A bright square lies on the left or on the right, somewhere."""

    def __init__(self, seed=0, side=8):
        self.side = side
        self.spec = BehaviorSpec([image(side), vector_sensor(1, "noise")], TWO)
        super().__init__(seed)

    def look(self, right):
        side, square = self.side, max(self.side // 4, 1)
        seen = self.rng.integers(0, 80, (AGENTS, 1, side, side), dtype=np.uint8)
        half = side // 2
        rows = self.rng.integers(side - square + 1, size=AGENTS)
        columns = self.rng.integers(half - square + 1, size=AGENTS) + (side - half) * right
        for agent, (row, column) in enumerate(zip(rows, columns, strict=True)):
            seen[agent, 0, row : row + square, column : column + square] = 255
        return seen, self.noise()


class Crowd(Bandit):
    """Among one to five entities, one is marked; its other number says what is right."""

    spec = BehaviorSpec([ObservationSpec((5, 3), (MANY, NONE), ObservationType.DEFAULT, "Buffer")], TWO)

    def look(self, right):
        present = np.arange(5) < self.rng.integers(1, 6, AGENTS)[:, None]
        crowd = np.stack([present, self.rng.choice([-1, 1], (AGENTS, 5)), np.zeros((AGENTS, 5))], 2)
        crowd[:, 0] = np.stack([np.ones(AGENTS), 2 * right - 1, np.ones(AGENTS)], 1)
        return ((crowd * present[:, :, None]).astype(np.float32),)


class Wish(Bandit):
    """A number is to be called by its sign, or by the other one: the goal says which."""

    spec = BehaviorSpec(
        [vector_sensor(1, "number"), ObservationSpec((2,), (NONE,), ObservationType.GOAL_SIGNAL, "Goal")], TWO
    )

    def look(self, right):
        meant = self.rng.integers(2, size=AGENTS)
        number = (2 * right - 1) * (2 * meant - 1) * self.rng.uniform(0.2, 1, AGENTS)
        return number[:, None].astype(np.float32), np.eye(2, dtype=np.float32)[meant]


class Secret(Bandit):
    """What is right stands on a sensor that only a critic may see."""

    def __init__(self, seed=0, actions=TWO, name="privileged_answer"):
        self.spec = BehaviorSpec([vector_sensor(1, "noise"), vector_sensor(1, name)], actions)
        super().__init__(seed)

    def look(self, right):
        return self.noise(), (2.0 * right - 1)[:, None].astype(np.float32)


class Luck(Bandit):
    """A cue says what is right, but most of the reward is luck, which only a critic sees."""

    SIZE = 5.0

    def __init__(self, seed=0, actions=TWO, name="privileged_luck"):
        self.spec = BehaviorSpec([vector_sensor(1, "cue"), vector_sensor(1, name)], actions)
        super().__init__(seed)

    def look(self, right):
        self.luck = self.rng.choice([-1.0, 1.0], AGENTS)
        return (2.0 * right - 1)[:, None].astype(np.float32), self.luck[:, None].astype(np.float32)

    def reward(self, right):
        return (right + self.SIZE * self.luck).astype(np.float32)


def behavior(trainer, world, settings, horizon=8, **network):
    """Return a behavior whose trainer learns in this world; its networks are small."""
    given = {"hidden_units": 32, "num_layers": 1, "normalize": True, **network}
    setup = TrainerSetup(world.spec, NetworkSettings(**given), [Extrinsic(gamma=0.9, strength=1.0)], 40_000)
    return Behavior(construct(trainer, setup, settings), time_horizon=horizon)


def score(behavior, world, steps, *, enough=1.0):
    """Train for so many steps and return the share of right choices in the last of them; stop where it is enough."""
    batch, end = world.begin(), behavior.step + steps
    world.scores.clear()
    while behavior.step < end:
        behavior.receive(batch)
        behavior.learn()
        batch = world.step(behavior.act()[0])
        if len(world.scores) >= WINDOW and np.mean(world.scores[-WINDOW:]) >= enough:
            break
    return float(np.mean(world.scores[-WINDOW:]))
