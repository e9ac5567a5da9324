"""The template of trainers that learn from what their present policy did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mlagents.algorithms.capabilities import Capabilities
from mlagents.algorithms.episodes import EpisodeSums
from mlagents.algorithms.objectives import gae, normalized
from mlagents.algorithms.schedules import Schedule
from mlagents.algorithms.settings import OnPolicyHyperparamSettings
from mlagents.algorithms.trainer import Metrics, State, TrainerSetup, title, unique
from mlagents.data.experience import Experience
from mlagents.data.finite import check_losses, check_parameters
from mlagents.data.rollout import Rollout, Segments, Tick
from mlagents.data.rows import Rows
from mlagents.nn.policy import Actor
from mlagents.nn.values import Critic

NORMALIZED_AT_ONCE = 256  # rows: tick by tick the normalizer costs as much as the policy


@dataclass(frozen=True, slots=True)
class Batch(Rows):
    """Experience with its targets; S is the number of reward signals."""

    rows: Experience
    advantage: Tensor  # (n,) normalized over the rollout, averaged over signals
    returns: Tensor  # (n, S)


class OnPolicyTrainer:
    """Collect a rollout, set its targets once, then walk it `num_epoch` times. Subclasses write `loss`."""

    Settings: ClassVar[type[OnPolicyHyperparamSettings]] = OnPolicyHyperparamSettings
    capabilities: ClassVar[Capabilities] = Capabilities()

    def __init__(self, setup: TrainerSetup, settings: Any) -> None:
        self.settings = settings
        self.signals = setup.signals
        self.policy = Actor(setup.spec, setup.network)
        self.critic = self.make_critic(setup)
        self.memory = Rollout()
        self._episodes = EpisodeSums(len(setup.signals))
        self._unseen: list[tuple[Tensor, ...]] = []  # observations that the normalizer has not seen
        self.schedules = self.make_schedules(setup.max_steps)
        self.now = {name: schedule(0) for name, schedule in self.schedules.items()}
        self.optimizer = self.make_optimizer(unique([*self.policy.parameters(), *self.critic.parameters()]))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Return named losses of a minibatch; their sum is descended."""
        raise NotImplementedError(f"{type(self).__name__} has no loss: an OnPolicyTrainer writes loss(batch)")

    def make_critic(self, setup: TrainerSetup) -> Critic:
        """Return the value network, with one head per reward signal."""
        names = [signal.name for signal in setup.signals]
        return Critic(setup.spec, setup.network, names, beside=self.policy.body)

    def make_optimizer(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        """Return what takes the steps; its learning rate follows the schedule."""
        return torch.optim.Adam(parameters, lr=self.settings.learning_rate, fused=True)

    def make_schedules(self, max_steps: int) -> dict[str, Schedule]:
        """Return the numbers that change with the step; `self.now` holds their values."""
        linear = self.settings.learning_rate_schedule == "linear"
        return {"learning_rate": Schedule(self.settings.learning_rate, 1e-10, max_steps, linear)}

    def report(self, losses: Metrics) -> dict[str, float]:
        """Name the means of the losses as they are recorded."""
        return {f"Losses/{title(name)} Loss": value for name, value in losses.items()}

    def receive(self, tick: Tick) -> None:
        self.memory.append(tick)
        if self.policy.body.normalizer is not None:
            self._unseen.append(tick.rows.input.obs)
        if len(self._unseen) * len(tick.lane) >= NORMALIZED_AT_ONCE:
            self._normalize()

    def learn(self, step: int) -> Metrics | None:
        if self.memory.ready <= self.settings.buffer_size:
            return None
        self.now = {name: schedule(step) for name, schedule in self.schedules.items()}
        for group in self.optimizer.param_groups:
            group["lr"] = self.now["learning_rate"]
        self._normalize()
        segments = self.memory.take()
        batch, metrics = self.targets(segments)
        losses = self.descend(batch)
        check_losses(losses)
        check_parameters({"policy": self.policy, "critic": self.critic})
        metrics.update(self.report(losses))
        metrics.update({f"Policy/{title(name)}": value for name, value in self.now.items()})
        for signal in self.signals:
            metrics.update(signal.update(segments))
        return metrics

    @torch.no_grad()
    def targets(self, segments: Segments) -> tuple[Batch, dict[str, Any]]:
        """Return the rows with advantages and returns, and the mean value of each signal."""
        rows = segments.rows
        value = self.critic(rows.input.obs)
        reward = torch.stack([signal.strength * signal.evaluate(segments) for signal in self.signals], 1)
        advantage = gae(
            reward, value, self._bootstrap(segments, value), segments.closes, segments.lane, segments.ticks,
            gamma=torch.tensor([signal.gamma for signal in self.signals]), lam=self.settings.lambd,
        )  # fmt: skip
        ended = self._episodes.add(reward, segments.lane, rows.done, lost=rows.interrupted & ~rows.done)
        metrics: dict[str, Any] = {}
        for column, signal in enumerate(self.signals):
            metrics[f"Policy/{title(signal.name)} Value Estimate"] = value[:, column].mean().item()
            if len(ended):
                metrics[f"Policy/{title(signal.name)} Reward"] = ended[:, column].numpy()
        return Batch(rows, normalized(advantage.mean(1)), advantage + value), metrics

    def close(self, lane: Tensor) -> None:
        if len(lane):
            self._episodes.drop(lane[~self.memory.close(lane)])

    def forget(self) -> None:
        self._normalize()
        self.memory.clear()
        self._episodes.clear()

    def state_dict(self) -> State:
        self._normalize()
        return {
            "Policy": self.policy.state_dict(),
            "Optimizer:critic": self.critic.state_dict(),
            "Optimizer:value_optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        self.policy.load_state_dict(state["Policy"])
        self.critic.load_state_dict(state["Optimizer:critic"])
        self.optimizer.load_state_dict(state["Optimizer:value_optimizer"])

    def _normalize(self) -> None:
        """Let the normalizer see what came home since it last looked."""
        if self._unseen:
            self.policy.observe(tuple(torch.cat(column) for column in zip(*self._unseen, strict=True)))
            self._unseen.clear()

    def _bootstrap(self, segments: Segments, value: Tensor) -> Tensor:
        """(n, S) value of what followed each closing row, 0 where an episode really ended."""
        after = torch.zeros_like(value)
        closing = segments.closes
        after[closing] = self.critic(segments.after)
        terminated = segments.rows.done & ~segments.rows.interrupted
        for column, signal in enumerate(self.signals):
            if not signal.ignores_done:
                after[terminated, column] = 0.0
        return after

    def descend(self, batch: Batch) -> dict[str, float]:
        """Walk the rollout; return the mean of each loss over all minibatches."""
        size = min(self.settings.batch_size, len(batch))
        total: dict[str, Tensor] = {}
        minibatches = len(batch) // size  # rows that fill no minibatch are left out, as Unity's trainers do
        for _ in range(self.settings.num_epoch):
            order = torch.randperm(len(batch))
            for start in range(0, minibatches * size, size):  # gathered one by one: images of a rollout lie there once
                losses = self.loss(batch[order[start : start + size]])
                self.optimizer.zero_grad()
                sum(losses.values(), torch.zeros(())).backward()  # type: ignore[no-untyped-call]
                self.optimizer.step()
                for name, loss in losses.items():
                    total[name] = total[name] + loss.detach() if name in total else loss.detach()
        steps = minibatches * self.settings.num_epoch
        return {name: loss.item() / steps for name, loss in total.items()}
