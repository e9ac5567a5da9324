"""An environment that reports what is written down, and a slow, obvious account of it."""

from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from mlagents_envs.base_env import ActionSpec, BaseEnv, BehaviorSpec, DecisionSteps, TerminalSteps
from mlagents_envs.examples.example import vector_sensor

BEHAVIORS = ("Cat?team=0", "Dog?team=1")
SPEC = BehaviorSpec([vector_sensor(1, "number")], ActionSpec.create_discrete((1000,)))


@dataclass
class Info:
    """One agent's part of a message: D asks, T ends. Its observation is its number, which no other has."""

    kind: str
    agent: int
    behavior: str = BEHAVIORS[0]
    reward: float = 0.0
    interrupted: bool = False
    number: int = 0


class MessageEnv(BaseEnv):
    """Each reset takes the next of several lists of messages, each step the next message; after the last, all are silent.

    `answers` has the answer to each question, by its number.
    """

    def __init__(self, lives):
        self.lives, self.life, self.answers = lives, -1, {}
        self._given = {}

    behavior_specs = property(lambda self: dict.fromkeys(self.behaviors(), SPEC))

    def behaviors(self):
        return [
            name for name in BEHAVIORS if any(info.behavior == name for life in self.lives for m in life for info in m)
        ]

    def reset(self):
        self.life, self.tick = min(self.life + 1, len(self.lives) - 1), 0
        self._given = {}

    def step(self):
        for name in self.behaviors():
            for row, info in enumerate(self.infos("D", name)):
                self.answers[info.number] = int(self._given[name][row]) if name in self._given else 0
        self._given = {}
        self.tick += 1

    def message(self):
        messages = self.lives[self.life]
        return messages[self.tick] if self.tick < len(messages) else []

    def infos(self, kind, behavior):
        return [info for info in self.message() if info.kind == kind and info.behavior == behavior]

    def get_steps(self, behavior_name):
        asking, ended = (self.infos(kind, behavior_name) for kind in "DT")
        over = np.array([self.ends_after(info) for info in asking], bool)
        decision = DecisionSteps(*self.columns(asking), None, *self.group(asking), over if over.any() else None)
        obs, reward, agent = self.columns(ended)
        interrupted = np.array([info.interrupted for info in ended], bool)
        return decision, TerminalSteps(obs, reward, interrupted, agent, *self.group(ended))

    def ends_after(self, question):
        later = self.message()[[info.number for info in self.message()].index(question.number) :]
        return any((info.kind, info.agent, info.behavior) == ("T", question.agent, question.behavior) for info in later)

    def columns(self, infos):
        obs = [np.array([[info.number] for info in infos], np.float32).reshape(-1, 1)]
        return (
            obs,
            np.array([info.reward for info in infos], np.float32),
            np.array([info.agent for info in infos], np.int32),
        )

    def group(self, infos):
        return np.zeros(len(infos), np.int32), np.array([10 * info.reward for info in infos], np.float32)

    def set_actions(self, behavior_name, action):
        assert action.discrete.shape == (len(self.infos("D", behavior_name)), 1)
        self._given[behavior_name] = action.discrete[:, 0]

    def set_action_for_agent(self, behavior_name, agent_id, action):
        raise NotImplementedError

    def close(self): ...


@dataclass
class Episode:
    """An episode from its first question that was still open when the message ended."""

    behavior: str
    agent: int
    seen: list = field(default_factory=list)  # numbers of what was seen, as are the ticks
    ticks: list = field(default_factory=list)
    rewards: list = field(default_factory=list)  # those that came after the first question
    asked_at: list = field(default_factory=list)  # ticks
    ended_at: int | None = None
    interrupted: bool = False


def account(messages):
    """Return the episodes of a list of messages, in the order in which they began."""
    episodes, running = [], {}
    for tick, message in enumerate(messages):
        for info in message:
            key = info.behavior, info.agent
            episode = running.get(key)
            if info.kind == "D":
                if episode is None:
                    running[key] = episode = Episode(*key)
                    episodes.append(episode)
                else:
                    episode.rewards.append(info.reward)
                episode.asked_at.append(tick)
                episode.seen.append(info.number)
                episode.ticks.append(tick)
            elif episode is not None:
                episode.rewards.append(info.reward)
                episode.seen.append(info.number)
                episode.ticks.append(tick)
                episode.ended_at, episode.interrupted = tick, info.interrupted
                del running[key]
    return [episode for episode in episodes if episode.ended_at != episode.asked_at[0]]  # else nothing was answered


def numbered(lives):
    """Return the messages with numbers, from 1 on, and a reward that no other info has."""
    number = 0
    for life in lives:
        for message in life:
            for info in message:
                number += 1
                info.number, info.reward = number, number + 0.25
    return lives


def written(*messages):
    """Return what is written as "T0 D0 D1": kinds and ids. The rewards are 1.25, 2.25 and so on."""
    return numbered([[[Info(part[0], int(part[1:])) for part in message.split()] for message in messages]])[0]


PATTERNS = ("", "", "D", "D", "D", "T", "T", "TD", "TD", "DT", "TDT", "TT", "TTD")  # of one agent in one message


@st.composite
def scripts(draw, *, agents=3, behaviors=2):
    """Draw a few lists of messages: any mix of ends, births, silences and repeated ids, in any order between agents.

    Ids are kept over episodes and resets, where an agent may go on under another behavior, or renewed for each episode.
    The last message of each list has a question of everybody. The first may hold only ends.
    """
    renewed, given = draw(st.booleans()), 0
    where = [draw(st.sampled_from(BEHAVIORS[:behaviors])) for _ in range(agents)]
    ids, found = {}, []
    for _ in range(draw(st.integers(2, 3))):
        ids = {} if renewed else ids
        plan = draw(st.lists(st.lists(st.sampled_from(PATTERNS), min_size=agents, max_size=agents), max_size=12))
        life = []
        for patterns in [*plan, ["D"] * agents]:
            queues = []
            for who, pattern in enumerate(patterns):
                queues.append([])
                for kind in pattern:
                    if who not in ids:
                        ids[who], given = given, given + 1
                    queues[who].append(Info(kind, ids[who], where[who], interrupted=draw(st.booleans())))
                    if kind == "T" and renewed:
                        del ids[who]
                    elif kind == "T":
                        where[who] = draw(st.sampled_from(BEHAVIORS[:behaviors]))
            message = []
            while any(queues):  # any order between agents
                message.append(draw(st.sampled_from([queue for queue in queues if queue])).pop(0))
            life.append(message)
        found.append(life)
    return numbered(found)
