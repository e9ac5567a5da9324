"""All agents that share a policy: how their experience is gathered and what it teaches."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from mlagents.algorithms.author import naming_the_author
from mlagents.algorithms.fit import Imitation as Imitation  # for who may not import algorithms
from mlagents.algorithms.trainer import Trainer
from mlagents.collect.acting import Acting, ActingPolicy
from mlagents.collect.collector import Collector, Episodes, Gone
from mlagents.collect.groups import GroupTable, Numbers
from mlagents.collect.lanes import FreeLanes
from mlagents.data.finite import NotFinite
from mlagents.data.rollout import Tick
from mlagents.data.rows import copied
from mlagents.envs.steps import Array, StepBatch
from mlagents_envs.base_env import ActionTuple

log = logging.getLogger(__name__)
Columns = Mapping[str, "float | Array"]


class Behavior:
    """A trainer, the agents it learns from, and the step counter of both.

    Agents of several teams (`name?team=0`, `name?team=1`) are agents of one behavior: one policy acts for all of them
    and learns from all of them, unless `act_with` lets others act, or nobody learn.
    """

    def __init__(self, trainer: Trainer, *, time_horizon: int, training: bool = True) -> None:
        self.trainer = trainer
        self.generator = trainer.generator  # checkpoints keep its state
        self.training = training
        self.newest = ActingPolicy(trainer.policy)
        """What learns, as what acts; `newest.snapshot()` is a copy that stays as it is."""
        self._acting: dict[str, Acting] = {}  # by team; the newest where none is named
        self._frozen: set[str] = set()  # teams whose rows nobody learns from
        self.step = 0  # rows of experience, over all agents that are learned from
        self.opponent_step = 0  # rows of all others
        self.recent: deque[float] = deque(maxlen=100)  # returns of the last episodes, with what groups were given
        self._since_update: list[float] = []  # returns of episodes that ended since the policy last changed
        self._time_horizon = time_horizon
        self._free = FreeLanes()  # teams share lanes, for the trainer knows rows by their lane
        self._collectors: dict[str, Collector] = {}  # by team
        self._numbers = Numbers()  # of groups, which teams share as they do lanes
        self._warns = training and not trainer.capabilities.groups  # of group rewards, once

    def receive(self, step: StepBatch, team: str = "") -> Episodes | None:
        """Take what a team's agents report; return the episodes that ended, if any that are learned from.

        team: any name, one for each. Raises NotFinite for rows with faults, and for a reward signal that makes NaN of
        good ones, which are left out.
        """
        if step.faults:
            raise NotFinite(str(step.faults[0]))
        if team not in self._collectors:
            memory_size, device = self._acting.get(team, self.newest).memory_size, self.trainer.device
            groups = GroupTable(self._numbers) if self.trainer.capabilities.groups else None
            self._collectors[team] = Collector(memory_size, self._time_horizon, self._free, device, groups=groups)
        collector = self._collectors[team]
        tick, episodes = collector.receive(step)
        if team in self._frozen:
            self.opponent_step += 0 if tick is None else len(tick.lane)
            collector.close_silent()
            return None
        if tick is not None:
            self.step += len(tick.lane)
            if self._warns and step.group_reward.any():
                self._warns = False
                log.warning("Agents are rewarded as a group, and this trainer takes it as each one's own reward.")
            if self.training:
                with naming_the_author():
                    self._learn_from(tick, collector)
        self._close(team, collector.close_silent())
        if not len(episodes.total):
            return None
        returns = episodes.earned.tolist()
        self.recent.extend(returns)
        self._since_update.extend(returns)
        return episodes

    def act(self, team: str = "") -> tuple[ActionTuple, dict[str, float | Array]]:
        """Answer the agents of a team that ask; return the actions and what to record."""
        with naming_the_author():
            actions, entropy = self._collectors[team].act(self._acting.get(team, self.newest), explore=True)
        return actions, {} if team in self._frozen else {"Policy/Entropy": entropy.cpu().numpy()}

    def learn(self) -> Mapping[str, float] | None:
        """Learn if there is enough to learn from, and return what to record."""
        # What overflows is checked afterwards, and reported in a sentence.
        with np.errstate(over="ignore", invalid="ignore"), naming_the_author():
            metrics = self.trainer.learn(self.step)
        if metrics is not None:
            self._since_update.clear()
            self.newest.version += 1
        return metrics

    def leave_out(self, step: StepBatch, wrong: Array, team: str = "") -> None:
        """Close the segments of agents before rows that cannot be learned from.

        wrong: (n,) bool, rows of `step`, which `receive` has not taken. An agent whose row ended its episode, and which
        asks in another row, gets that one taken.
        """
        if team not in self._collectors:
            return
        ended = step.agent[wrong & step.done]
        asking = step.agent[wrong & ~step.done]
        asking = asking[~np.isin(asking, step.agent[step.done])]  # others: the row that ended was theirs
        agent = np.concatenate([ended, asking])
        over = np.arange(len(agent)) < len(ended)
        self._close(team, self._collectors[team].leave_out(agent, over))

    def drop_answers(self, agent: Array, team: str = "") -> None:
        """Let nothing come of the newest answers to these (n,) agents."""
        self._close(team, self._collectors[team].leave_out(agent, np.zeros(len(agent), bool)))

    def act_with(self, acting: Acting | None, team: str = "", *, learn: bool = True) -> None:
        """Let another policy answer a team from now on; None: the newest.

        learn: False lets nobody learn from its rows, which do not count as steps, nor its episodes as this behavior's.
        Where that changes, rows until now stay what they were, and nothing comes of answers that wait.
        """
        if learn == (team in self._frozen) and team in self._collectors:
            self._close(team, self._collectors.pop(team).close_everyone())
        if acting is None:
            self._acting.pop(team, None)
        else:
            self._acting[team] = acting
        if learn:
            self._frozen.discard(team)
        else:
            self._frozen.add(team)

    def forget_memory(self, team: str) -> None:
        """Let the agents of a team that nobody learns from remember nothing: another policy answers them."""
        if team in self._collectors:
            self._collectors[team].forget_memory()

    @property
    def reward(self) -> float | None:
        """Mean return of the episodes that ended since the policy last changed; None if there were none."""
        return float(np.mean(self._since_update)) if self._since_update else None

    @property
    def mean_return(self) -> float | None:
        """Mean return of the last hundred episodes; None before the first has ended."""
        return sum(self.recent) / len(self.recent) if self.recent else None

    @property
    def converged(self) -> bool:
        """Is there nothing more to learn, whatever its steps? Agents always bring more."""
        return False

    @property
    def imitation(self) -> Imitation | None:
        """How well it fits demonstrations; None where it learns from agents."""
        return None

    def close_environment(self, environment: int) -> None:
        """Close the segments of an environment that is gone; the rows until then still count."""
        for team, collector in self._collectors.items():
            self._close(team, collector.close_environment(environment))

    def close_segments(self) -> None:
        """Close every segment at its last row, which still counts: the environment is reset."""
        for team, collector in self._collectors.items():
            self._close(team, collector.close_everyone())
        self._free, self._collectors = FreeLanes(), {}

    def _close(self, team: str, gone: Gone) -> None:
        if team in self._frozen:
            return
        if len(gone.lane):
            self.trainer.close(gone.lane)
        if len(gone.group):
            self.trainer.close_groups(gone.group)

    def drop(self) -> None:
        """Forget unfinished episodes: the environment was reset."""
        self._free, self._collectors = FreeLanes(), {}
        self.trainer.forget()

    def learned_state(self) -> dict[str, Any]:
        """Return a copy of what learning changes, and of the step counter, that `load_state_dict` takes.

        Remembered rows and random numbers are not in it.
        """
        state = getattr(self.trainer, "learned_state", self.trainer.state_dict)()
        state = {**state, "global_step": self._steps()}
        return {name: copied(part) for name, part in state.items()}

    def _steps(self) -> dict[str, torch.Tensor]:
        return {"_GlobalSteps__global_step": torch.tensor([self.step], device="cpu")}

    def _learn_from(self, tick: Tick, collector: Collector) -> None:
        try:
            self.trainer.receive(tick)
        except NotFinite:
            self.trainer.close(tick.lane)
            if tick.membership is not None:
                self.trainer.close_groups(tick.membership.group)
            collector.restart_segments(tick.lane)
            raise

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain containers; module names and the step's key are those of Unity's checkpoints."""
        return {**self.trainer.state_dict(), "global_step": self._steps(), "rng": {"torch": self.generator.get_state()}}

    def load_state_dict(self, state: dict[str, Any], *, keep_step: bool) -> None:
        """Take weights, and with `keep_step` the step counter; random numbers stay where they are."""
        self.trainer.load_state_dict(state)
        if keep_step:
            self.step = int(state["global_step"]["_GlobalSteps__global_step"])
