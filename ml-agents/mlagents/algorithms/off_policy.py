"""The template of trainers that learn from whatever was done before."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from mlagents.algorithms.base import Metrics, State, TrainerSetup, title
from mlagents.algorithms.capabilities import Capabilities
from mlagents.algorithms.episodes import EpisodeSums
from mlagents.algorithms.schedules import Schedule
from mlagents.algorithms.settings import OffPolicyHyperparamSettings
from mlagents.data.replay import NStepReturns, ReplayBuffer, Transition
from mlagents.data.rollout import Segments, Tick
from mlagents.nn.policy import Actor

Network = TypeVar("Network", bound=nn.Module)


class OffPolicyTrainer:
    """Remember everything, and learn from random rows at a steady pace. Subclasses write `update`.

    Settings with an `n_step` get returns over that many rows.
    """

    Settings: ClassVar[type[OffPolicyHyperparamSettings]] = OffPolicyHyperparamSettings
    can: ClassVar[Capabilities] = Capabilities(demonstrations=True)

    def __init__(self, setup: TrainerSetup, settings: Any) -> None:
        self.settings = settings
        self.signals = setup.signals
        self.policy = self.make_policy(setup)
        self.memory = ReplayBuffer(settings.buffer_size)
        self.schedules = self.make_schedules(setup.max_steps)
        self.now = {name: schedule(0) for name, schedule in self.schedules.items()}
        self.updates = 0  # gradient steps
        self._seen = 0  # rows that came home, of which the first are for warm-up
        self._owed = 0.0  # rows after warm-up that no update has answered yet
        self._episodes = EpisodeSums(len(setup.signals))
        self._ended: list[Tensor] = []  # (k, S) sums of episodes that no metric has told yet
        self._waiting = NStepReturns(
            getattr(settings, "n_step", 1),
            gamma=[signal.gamma for signal in setup.signals],
            ignores_done=[signal.ignores_done for signal in setup.signals],
        )

    def update(self, batch: Transition) -> Metrics:
        """Descend once on random rows, and return what to record."""
        raise NotImplementedError(f"{type(self).__name__} has no update: an OffPolicyTrainer writes update(batch)")

    def modules(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """Return what a checkpoint holds, by name: every network and every optimizer that is an attribute."""
        kinds = (nn.Module, torch.optim.Optimizer)
        return {title(name): value for name, value in vars(self).items() if isinstance(value, kinds)}

    def make_policy(self, setup: TrainerSetup) -> Actor:
        """Return what acts, and what is exported."""
        return Actor(setup.spec, setup.network)

    def make_optimizer(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        """Return what takes the steps; its learning rate follows the schedule if `modules` names it."""
        return torch.optim.Adam(parameters, lr=self.settings.learning_rate, fused=True)

    def make_schedules(self, max_steps: int) -> dict[str, Schedule]:
        """Return the numbers that change with the step; `self.now` holds their values."""
        linear = self.settings.learning_rate_schedule == "linear"
        return {"learning_rate": Schedule(self.settings.learning_rate, 1e-10, max_steps, linear)}

    def make_target(self, network: Network) -> Network:
        """Return a copy that follows only by `soft_update`; both see rows through the same normalizer."""
        shared = {id(normalizer): normalizer for normalizer in [self.policy.body.normalizer]}
        return copy.deepcopy(network, shared)

    @staticmethod
    @torch.no_grad()
    def soft_update(target: nn.Module, source: nn.Module, *, tau: float) -> None:
        """Move the target's parameters a share tau of the way to the source's; 1 copies them."""
        for mine, theirs in zip(target.parameters(), source.parameters(), strict=True):
            mine.lerp_(theirs, tau)

    def receive(self, tick: Tick) -> None:
        rows = len(tick.lane)
        reward = self._reward(tick)
        ended = self._episodes.add(reward, tick.lane, tick.rows.done)
        if len(ended):
            self._ended.append(ended)
        self._remember(self._waiting.take(tick, reward))
        self.policy.observe(tick.rows.input.obs)
        self._seen += rows
        warm = max(self.settings.buffer_init_steps, self.settings.batch_size)
        self._owed += min(rows, max(self._seen - warm, 0))

    def learn(self, step: int) -> Metrics | None:
        """Make one update per `steps_per_update` rows that came home after the first `buffer_init_steps`."""
        self.now = {name: schedule(step) for name, schedule in self.schedules.items()}
        enough = min(self.settings.batch_size, self.memory.capacity)
        if self._owed < self.settings.steps_per_update or len(self.memory) < enough:
            return None
        for module in self.modules().values():
            for group in module.param_groups if isinstance(module, torch.optim.Optimizer) else ():
                group["lr"] = self.now["learning_rate"]
        told: list[Metrics] = []
        while self._owed >= self.settings.steps_per_update:
            told.append(self.update(self.memory.sample(self.settings.batch_size)))
            self.updates += 1
            self._owed -= self.settings.steps_per_update
        metrics = {name: sum(float(each[name]) for each in told) / len(told) for name in told[-1]}
        metrics.update({f"Policy/{title(name)}": value for name, value in self.now.items()})
        return {**metrics, **self._episode_rewards()}

    def close(self, lane: Tensor) -> None:
        self._remember(self._waiting.close(lane))

    def forget(self) -> None:
        """End running episodes where they are; what was remembered stays true."""
        self._remember(self._waiting.clear())
        self._episodes.clear()

    def state_dict(self) -> State:
        state: State = {name: module.state_dict() for name, module in self.modules().items()}
        state["updates"] = self.updates
        if self.settings.save_replay_buffer:
            state["replay"] = {"memory": self.memory.state_dict(), "seen": self._seen, "owed": self._owed}
        return state

    def load_state_dict(self, state: State) -> None:
        for name, module in self.modules().items():
            module.load_state_dict(state[name])
        self.updates = state["updates"]
        if self.settings.save_replay_buffer and "replay" in state:
            replay = state["replay"]
            self.memory.load_state_dict(replay["memory"])
            self._seen, self._owed = replay["seen"], replay["owed"]
        # Otherwise the memory begins empty, and the pace with warm-up.

    def _remember(self, parts: Sequence[Transition]) -> None:
        for part in parts:  # two at most: rows that were followed, and rows whose episode ended
            self.memory.append(part)

    def _reward(self, tick: Tick) -> Tensor:
        """(n, S) what each signal gives for these rows."""
        after = tuple(column[tick.closes] for column in tick.after)
        rows = Segments(tick.rows, tick.lane, tick.closes, after, torch.tensor([0, len(tick.lane)]))
        return torch.stack([signal.strength * signal.evaluate(rows) for signal in self.signals], 1)

    def _episode_rewards(self) -> dict[str, Any]:
        """Return what each signal gave over the episodes that ended since it was last asked."""
        if not self._ended:
            return {}
        ended = torch.cat(self._ended)
        self._ended.clear()
        return {f"Policy/{title(signal.name)} Reward": ended[:, i].numpy() for i, signal in enumerate(self.signals)}
