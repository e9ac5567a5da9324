"""A world whose every word is known beforehand, to hold the faces of a BaseEnv against."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from mlagents_envs.base_env import (
    ActionSpec,
    BaseEnv,
    BehaviorMapping,
    BehaviorSpec,
    DecisionSteps,
    TerminalSteps,
)
from mlagents_envs.examples.example import vector_sensor


@dataclass
class Seat:
    """Where agents of one behavior live one after another."""

    behavior: str
    life: int = 4  # steps that an agent lives
    period: int = 1  # steps between its questions
    gap: int = 0  # steps until its successor comes
    interrupted: bool = False
    born: int = 0  # step at which its first agent comes
    agent: int = field(default=-1, init=False)
    age: int = field(default=0, init=False)
    free_since: int = field(default=0, init=False)


class ScriptedEnv(BaseEnv):
    """An agent sees (how many were born before it since the reset, its age, the clock), earns its age, and its group earns the clock.

    With discrete actions, the first choice of the first branch is forbidden to it at odd ages. After `end` steps,
    all are interrupted and nobody comes any more. `heard` keeps what was answered: (behavior, ids, action) by step.
    """

    def __init__(self, specs, seats, *, end=10**9):
        self._specs = BehaviorMapping(specs)
        self._seats = seats
        self._end = end
        self._born = 0
        self._answers = {}
        self.heard = []
        self.seeds = []
        self.closed = False
        self._said = None

    behavior_specs = property(lambda self: self._specs)

    def set_seed(self, seed):
        self.seeds.append(seed)

    def reset(self):
        self._clock, self._first = 0, self._born
        self._rows = {name: ([], []) for name in self._specs}
        for seat in self._seats:
            seat.agent, seat.age, seat.free_since = -1, 0, seat.born
            if seat.born == 0:
                self._birth(seat)
        self._speak()

    def step(self):
        if self._said is None:
            self.reset()
            return
        for name, (decision, _) in self._said.items():
            if name in self._answers:
                self.heard.append((name, decision.agent_id.tolist(), self._answers[name]))
        self._clock += 1
        self._rows = {name: ([], []) for name in self._specs}
        for seat in self._seats:
            self._live(seat)
        self._speak()

    def _live(self, seat):
        over = self._clock >= self._end
        if seat.agent >= 0:
            seat.age += 1
            if over or seat.age == seat.life:
                self._rows[seat.behavior][1].append((seat.agent, seat.age, seat.interrupted or over))
                seat.agent, seat.free_since = -1, self._clock + seat.gap
            elif seat.age % seat.period == 0:
                self._rows[seat.behavior][0].append((seat.agent, seat.age))
        if seat.agent < 0 and not over and self._clock >= seat.free_since:
            self._birth(seat)

    def _birth(self, seat):
        seat.agent, seat.age = self._born, 0
        self._born += 1
        self._rows[seat.behavior][0].append((seat.agent, 0))

    def _speak(self):
        self._answers = {}
        self._said = {}
        for name, spec in self._specs.items():
            asking, ended = self._rows[name]
            decision = DecisionSteps(*self._columns(spec, asking, None), *self._group(asking))
            decision.action_mask = self._masks(spec.action_spec, asking)
            terminal = TerminalSteps(*self._columns(spec, ended, [row[2] for row in ended]), *self._group(ended))
            self._said[name] = decision, terminal

    def _columns(self, spec, rows, interrupted):
        numbers = np.array([[row[0] - self._first, row[1], self._clock] for row in rows], np.float32).reshape(-1, 3)
        obs = [
            numbers.copy() if sensor.shape == (3,) else np.full((len(rows), *sensor.shape), 0.5, np.float32)
            for sensor in spec.observation_specs
        ]
        reward, agent = numbers[:, 1].copy(), np.array([row[0] for row in rows], np.int32)
        return (obs, reward, agent, None) if interrupted is None else (obs, reward, np.array(interrupted, bool), agent)

    def _group(self, rows):
        return np.ones(len(rows), np.int32), np.full(len(rows), self._clock, np.float32)

    def _masks(self, action, rows):
        masks = [np.zeros((len(rows), size), bool) for size in action.discrete_branches]
        for row, (_, age) in enumerate(rows):
            if masks:
                masks[0][row, 0] = age % 2 == 1
        return masks or None

    def get_steps(self, behavior_name):
        return self._said[behavior_name]

    def set_actions(self, behavior_name, action):
        asked, _ = self._said[behavior_name]
        self._answers[behavior_name] = self._specs[behavior_name].action_spec._validate_action(
            action, len(asked), behavior_name
        )

    def set_action_for_agent(self, behavior_name, agent_id, action):
        raise NotImplementedError

    def close(self):
        self.closed = True


SPECS = {
    "Scout?team=0": BehaviorSpec([vector_sensor(3, "seen")], ActionSpec.create_hybrid(2, (3,))),
    "Guard?team=0": BehaviorSpec([vector_sensor(3, "seen")], ActionSpec.create_discrete((2, 3))),
    "Guide?team=1": BehaviorSpec([vector_sensor(3, "seen"), vector_sensor(2, "felt")], ActionSpec.create_continuous(2)),
}


@pytest.fixture
def make_seat():
    return Seat


@pytest.fixture
def make_scripted():
    """Return a function (seats, end=...) -> environment with the behaviors of these seats."""

    def make(*seats, end=10**9, specs=SPECS):
        return ScriptedEnv(
            {name: specs[name] for name in dict.fromkeys(seat.behavior for seat in seats)}, seats, end=end
        )

    return make


@pytest.fixture
def village(make_scripted):
    """Return a function end -> many agents that come, go and are silent, in groups, of three behaviors."""

    def make(end=10**9):
        return make_scripted(
            Seat("Guard?team=0", life=5),
            Seat("Guard?team=0", life=7, period=2, gap=1, interrupted=True),
            Seat("Scout?team=0", life=6, period=3),
            Seat("Scout?team=0", born=3),
            Seat("Guide?team=1", life=9),
            end=end,
        )

    return make
