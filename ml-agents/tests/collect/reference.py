"""The slow, obvious way from messages to rows of experience: one Python object per agent, one info after the other."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from mlagents.envs.steps import step_batch
from mlagents_envs.base_env import ActionSpec, BehaviorSpec, DecisionSteps, TerminalSteps
from mlagents_envs.examples.example import vector_sensor

ACTIONS = ActionSpec.create_continuous(1)
SPEC = BehaviorSpec([vector_sensor(1, "seen")], ACTIONS)


class Info(NamedTuple):
    """What one agent reports: that it asks for a decision (D), or that its episode ended (T)."""

    agent: int
    done: bool
    reward: float
    seen: float
    interrupted: bool = False


class Row(NamedTuple):
    """A transition."""

    agent: int
    seen: float  # what it was asked with
    memory: float  # how many decisions of its episode lay before
    reward: float
    done: bool
    interrupted: bool
    after: float


@dataclass
class Agent:
    """What one agent was asked last, until that is a row."""

    asked: float | None = None
    decisions: int = 0  # of this episode
    earned: float = 0.0  # since it was asked
    total: float = 0.0  # of this episode


@dataclass
class Reference:
    """Reads messages in their order."""

    agents: dict[int, Agent] = field(default_factory=dict)

    def read(self, message: list[Info]) -> tuple[list[Row], list[float]]:
        """Return the rows and the returns of episodes that this message completes."""
        rows, returns = [], []
        for place, info in enumerate(message):
            agent = self.agents.setdefault(info.agent, Agent())
            later = message[place + 1 :]
            if info.done:
                if agent.asked is not None:
                    rows.append(self.row(agent, info))
                    returns.append(agent.total)
                self.agents[info.agent] = Agent()
            elif any(other.agent == info.agent and other.done for other in later):
                agent.earned += info.reward  # its answer leads to nothing
            else:
                if agent.asked is not None:
                    rows.append(self.row(agent, info))
                agent.asked, agent.earned = info.seen, 0.0
                agent.decisions += 1
        return rows, returns

    @staticmethod
    def row(agent: Agent, info: Info) -> Row:
        earned = agent.earned + info.reward
        agent.total += earned
        return Row(info.agent, agent.asked, agent.decisions - 1, earned, info.done, info.interrupted, info.seen)


def batch(message: list[Info], environment: int = 0):
    """Return a message as the low-level API has it, then as training has it."""
    asking = [info for info in message if not info.done]
    ended = [info for info in message if info.done]

    def columns(infos):
        return (
            [np.array([info.seen for info in infos], np.float32)[:, None]],
            np.array([info.reward for info in infos], np.float32),
            np.array([info.agent for info in infos], np.int32),
            np.zeros(len(infos), np.int32), np.zeros(len(infos), np.float32),
        )  # fmt: skip

    obs, reward, agent, group, group_reward = columns(asking)
    decision = DecisionSteps(obs, reward, agent, None, group, group_reward)
    stale = [
        not info.done and any(other.done and other.agent == info.agent for other in message[place + 1 :])
        for place, info in enumerate(message)
    ]
    decision.ended = np.array([old for old, info in zip(stale, message, strict=True) if not info.done], bool)
    obs, reward, agent, group, group_reward = columns(ended)
    interrupted = np.array([info.interrupted for info in ended], bool)
    terminal = TerminalSteps(obs, reward, interrupted, agent, group, group_reward)
    return step_batch(decision, terminal, ACTIONS, environment)
