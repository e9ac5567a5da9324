"""An environment whose every report is known beforehand, to hold the faces of a BaseEnv against."""

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
    """Where an agent plays episode after episode."""

    behavior: str
    life: int = 4  # steps of an episode
    period: int = 1  # steps between its questions
    gap: int = 0  # steps until its next episode begins
    interrupted: bool = False
    born: int = 0  # step at which its first episode begins
    agent: int = field(default=-1, init=False)
    plays: bool = field(default=False, init=False)
    age: int = field(default=0, init=False)
    free_since: int = field(default=0, init=False)


class ScriptedEnv(BaseEnv):
    """An agent sees (number of the episode since the reset, its age in it, the clock), and earns its age.

    Its group earns the clock. With the first question of an episode comes what belongs to none: STALE. With discrete
    actions, the first choice of the first branch is forbidden at odd ages. After `end` steps, all are interrupted and
    nobody comes any more. `heard` keeps what was answered: (behavior, ids, action) by step. renew_ids: each episode has
    an id of its own.
    """

    STALE = 1000.0

    def __init__(self, specs, seats, *, end=10**9, renew_ids=False):
        self._specs = BehaviorMapping(specs)
        self._seats = seats
        self._end = end
        self._renew_ids = renew_ids
        self._ids = 0  # that were given
        self._answers = {}
        self.heard = []
        self.seeds = []
        self.closed = False
        self._said = None

    behavior_specs = property(lambda self: self._specs)

    def set_seed(self, seed):
        self.seeds.append(seed)

    def reset(self):
        self._clock, self._episodes = 0, 0
        self._rows = {name: ([], []) for name in self._specs}
        for seat in self._seats:
            seat.plays, seat.age, seat.free_since = False, 0, seat.born
            if seat.born == 0:
                self._begin(seat)
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
        if seat.plays:
            seat.age += 1
            if over or seat.age == seat.life:
                self._rows[seat.behavior][1].append((seat.agent, seat.episode, seat.age, seat.interrupted or over))
                seat.plays, seat.free_since = False, self._clock + seat.gap
            elif seat.age % seat.period == 0:
                self._rows[seat.behavior][0].append((seat.agent, seat.episode, seat.age))
        if not seat.plays and not over and self._clock >= seat.free_since:
            self._begin(seat)

    def _begin(self, seat):
        if seat.agent < 0 or self._renew_ids:
            seat.agent, self._ids = self._ids, self._ids + 1
        seat.plays, seat.age, seat.episode = True, 0, self._episodes
        self._episodes += 1
        self._rows[seat.behavior][0].append((seat.agent, seat.episode, 0))

    def _speak(self):
        self._answers = {}
        self._said = {}
        for name, spec in self._specs.items():
            asking, ended = self._rows[name]
            decision = DecisionSteps(*self._columns(spec, asking, None), *self._group(asking))
            decision.action_mask = self._masks(spec.action_spec, asking)
            terminal = TerminalSteps(*self._columns(spec, ended, [row[3] for row in ended]), *self._group(ended))
            self._said[name] = decision, terminal

    def _columns(self, spec, rows, interrupted):
        numbers = np.array([[*row[1:3], self._clock] for row in rows], np.float32).reshape(-1, 3)
        obs = [
            numbers.copy() if sensor.shape == (3,) else np.full((len(rows), *sensor.shape), 0.5, np.float32)
            for sensor in spec.observation_specs
        ]
        reward, agent = numbers[:, 1].copy(), np.array([row[0] for row in rows], np.int32)
        reward[reward == 0] = self.STALE
        return (obs, reward, agent, None) if interrupted is None else (obs, reward, np.array(interrupted, bool), agent)

    def _group(self, rows):
        return np.ones(len(rows), np.int32), np.full(len(rows), self._clock, np.float32)

    def _masks(self, action, rows):
        masks = [np.zeros((len(rows), size), bool) for size in action.discrete_branches]
        for row, (_, _, age) in enumerate(rows):
            if masks:
                masks[0][row, 0] = age % 2 == 1
        return masks or None

    def get_steps(self, behavior_name):
        return self._said[behavior_name]

    def set_actions(self, behavior_name, action):
        asked, _ = self._said[behavior_name]
        self._answers[behavior_name] = self._specs[behavior_name].action_spec.validate_action(
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
    """Return a function (seats, ...) -> environment with the behaviors of these seats."""

    def make(*seats, specs=SPECS, **options):
        return ScriptedEnv(
            {name: specs[name] for name in dict.fromkeys(seat.behavior for seat in seats)}, seats, **options
        )

    return make


@pytest.fixture
def village(make_scripted):
    """Return a function that makes many agents that come, go and are silent, in groups, of three behaviors."""

    def make(**options):
        return make_scripted(
            Seat("Guard?team=0", life=5),
            Seat("Guard?team=0", life=7, period=2, gap=1, interrupted=True),
            Seat("Scout?team=0", life=6, period=3),
            Seat("Scout?team=0", born=3),
            Seat("Guide?team=1", life=9),
            **options,
        )

    return make
