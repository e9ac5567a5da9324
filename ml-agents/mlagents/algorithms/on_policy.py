"""The template of trainers that learn from what their present policy did."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mlagents.algorithms.author import BroadcastWatch, TrainerError, check_terms
from mlagents.algorithms.capabilities import Capabilities
from mlagents.algorithms.episodes import EpisodeSums
from mlagents.algorithms.modules import Module
from mlagents.algorithms.objectives import gae, normalized
from mlagents.algorithms.parts import ROWS, check_critic
from mlagents.algorithms.settings import OnPolicyHyperparamSettings
from mlagents.algorithms.template import TrainerTemplate, judged, rewards_of, updated
from mlagents.algorithms.trainer import Metrics, TrainerSetup, title
from mlagents.data.experience import Actions, Experience, PolicyInput
from mlagents.data.finite import NotFinite, all_finite, check_losses, check_rows_finite
from mlagents.data.groups import NONE
from mlagents.data.minibatches import minibatches, sequence_minibatches, sequences
from mlagents.data.rollout import Rollout, Segments, Tick
from mlagents.data.rows import Rows
from mlagents.nn.body import NetworkBody
from mlagents.nn.values import Critic
from mlagents.rewards.signal import SignalBatch

NORMALIZED_AT_ONCE = 256  # rows: tick by tick the normalizer costs as much as the policy


@dataclass(frozen=True, slots=True)
class Batch(Rows):
    """Experience with its targets; S is the number of reward signals. A subclass may add columns of n rows."""

    rows: Experience
    advantage: Tensor  # (n,) normalized over the rollout, averaged over signals
    returns: Tensor  # (n, S)
    sequence: Tensor = None  # type: ignore[assignment]  # (n,) int64, the number of each row's sequence for memory
    row: Tensor = field(default=None, kw_only=True)  # type: ignore[assignment]  # (n,) int64, numbers in the rollout

    def __post_init__(self) -> None:
        """Put each row in a sequence of its own where none is given; these rows are the rollout, unless told."""
        number = torch.arange(len(self.advantage), device=self.advantage.device)
        for name in ("sequence", "row"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, number)

    @property
    def input(self) -> PolicyInput:
        """What the policy was asked."""
        return self.rows.input

    @property
    def action(self) -> Actions:
        """What it did, as sampled."""
        return self.rows.output.action

    @property
    def log_prob(self) -> Tensor:
        """(n, C + B) log probabilities when it acted."""
        return self.rows.output.log_prob


class OnPolicyTrainer(TrainerTemplate):
    """Collect a rollout, set its targets once, then walk it `num_epoch` times. Subclasses write `loss`."""

    Settings: ClassVar[type[OnPolicyHyperparamSettings]] = OnPolicyHyperparamSettings
    capabilities: ClassVar[Capabilities] = Capabilities(memory=True)
    TABLES = (*TrainerTemplate.TABLES, Batch)
    NOT_HERE = {
        "update": "that is a hook of OffPolicyTrainer; an OnPolicyTrainer writes loss(batch)",
        "imitate": "that is a hook of OffPolicyTrainer",
    }

    def __init__(self, setup: TrainerSetup, settings: Any) -> None:
        super().__init__(setup, settings)
        if type(self).loss is OnPolicyTrainer.loss and type(self).descend is OnPolicyTrainer.descend:
            raise TrainerError(f"{type(self).__name__} has no loss: an OnPolicyTrainer writes loss(batch)")
        self.critic = self.make_critic(setup)
        self.memory = Rollout(groups=self.capabilities.groups)
        self.rollout: Segments | None = None  # all rows that are learned from, meanwhile
        self._episodes = EpisodeSums(len(self.signals), self.device)
        self._unseen: list[tuple[Tensor, ...]] = []  # observations that the normalizer has not seen
        self._signal_batch: SignalBatch | None = None  # all rows of this rollout, while it is learned from
        self._looked = False  # was the first minibatch looked at for shapes that are stretched?
        self.optimizer = self.make_optimizer(unique([*self.policy.parameters(), *self.critic.parameters()]))

    # what a subclass writes or replaces

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Return named losses of a minibatch; their sum is descended."""
        raise NotImplementedError

    def make_critic(self, setup: TrainerSetup) -> nn.Module:
        """Return the value network: (n, S) values of a `PolicyInput`. The built-in one sees the policy's memory too."""
        names = [signal.name for signal in self.signals]
        body = getattr(self.policy, "body", None)
        beside = body if isinstance(body, NetworkBody) else None
        return Critic(setup.spec, setup.network, names, beside=beside, memory_size=self.policy.memory_size)

    def report(self, losses: Metrics) -> dict[str, float]:
        """Name the means of the losses as they are recorded."""
        return {f"Losses/{title(name)} Loss": value for name, value in losses.items()}

    def targets(self, segments: Segments) -> tuple[Batch, dict[str, Any]]:
        """Return the rows with advantages and returns, and what to record; called without gradients."""
        value = self.critic(segments.rows.input)
        reward = self.rewards(segments)
        advantage = gae(
            reward, value, self.bootstrap(segments, value), segments.closes, segments.lane, segments.ticks,
            gamma=torch.tensor([signal.gamma for signal in self.signals], device=self.device), lam=self.settings.lambd,
        )  # fmt: skip
        batch = Batch(segments.rows, normalized(advantage.mean(1)), advantage + value, self.sequence(segments))
        return batch, self.episode_metrics(segments, reward, value)

    def descend(self, batch: Batch) -> dict[str, float]:
        """Walk the rollout; return the mean of each loss over all minibatches."""
        total: dict[str, Tensor] = {}
        steps = 0
        for _ in range(self.settings.num_epoch):
            for rows in self.minibatches(batch):  # gathered one by one: images of a rollout lie there once
                minibatch = batch[rows]
                try:
                    losses = self._losses(minibatch)
                    self.take_step(self.optimizer, self._sum(losses))
                except NotFinite as error:
                    raise error.found_in(minibatch) from None
                self.update_signals(rows)
                steps += 1
                for name, loss in losses.items():
                    total[name] = total[name] + loss.detach() if name in total else loss.detach()
        return {name: loss.item() / steps for name, loss in total.items()}

    # what a subclass calls

    def evaluate(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return (n, C + B) log probabilities of the batch's actions and (n,) entropies, with gradients.

        A policy with memory is walked along the batch's sequences.
        """
        if not self.policy.memory_size:
            return self.policy.evaluate(batch.rows.input, batch.rows.output.action)
        return self.policy.evaluate_sequences(batch.rows.input, batch.rows.output.action, batch.sequence)

    def values(self, batch: Batch) -> Tensor:
        """Return the critic's (n, S) values of the batch's inputs, with gradients."""
        return self.critic(batch.rows.input)  # type: ignore[no-any-return]

    def mates(self, batch: Batch) -> tuple[Experience, Tensor]:
        """Return what each row's group mates were asked and did, and (n, G) bool, which of them there are.

        All columns are (n, G, ...), and anything where there is no mate. They are gathered here, from the rollout.
        Raises TrainerError for a trainer whose capabilities have no groups.
        """
        if self.rollout is None or self.rollout.groups is None:
            raise TrainerError(f"{type(self).__name__}.mates: declare capabilities = Capabilities(groups=True, ...)")
        rows = self.rollout.groups.mates()[batch.row]
        return self.rollout.rows[rows.clamp(min=0)], rows != NONE

    def rewards(self, segments: Segments) -> Tensor:
        """Return (n, S) what each signal gives for the rows, times its strength."""
        batch = self.signal_batch(segments.rows, segments.next_input)
        return torch.stack([judged(signal, batch, segments.agent) for signal in self.signals], 1)

    def bootstrap(self, segments: Segments, value: Tensor) -> Tensor:
        """Return (n, S) the value of what followed each closing row, 0 where an episode terminated.

        value: (n, S) of all rows; elsewhere than in closing rows, the result is 0.
        """
        after = torch.zeros_like(value)
        after[segments.closes] = self.critic(segments.last_input())
        terminated = segments.rows.done & ~segments.rows.interrupted
        for column, signal in enumerate(self.signals):
            if not signal.ignores_done:
                after[terminated, column] = 0.0
        return after

    def sequence(self, segments: Segments) -> Tensor:
        """Return (n,) the number of the sequence that each row is learned in, as `Batch.sequence` has it."""
        if not self.policy.memory_size:
            return torch.arange(len(segments.lane), device=segments.lane.device)
        return sequences(segments.lane, segments.closes, self._sequence_length)

    def episode_metrics(self, segments: Segments, reward: Tensor, value: Tensor) -> dict[str, Any]:
        """Return the mean value of each signal, and its sums over the episodes that ended; reward, value: (n, S)."""
        rows = segments.rows
        ended = self._episodes.add(reward, segments.lane, rows.done, lost=rows.interrupted & ~rows.done)
        means = value.mean(0).tolist()
        metrics: dict[str, Any] = {
            f"Policy/{title(signal.name)} Value Estimate": mean
            for signal, mean in zip(self.signals, means, strict=True)
        }
        return {**metrics, **rewards_of(self.signals, ended)}

    def minibatches(self, batch: Batch) -> Iterator[Tensor]:
        """Yield the row numbers of each minibatch of one epoch, in random order; rows that fill none are left out."""
        size = min(self.settings.batch_size, len(batch))
        if not self.policy.memory_size:
            return minibatches(len(batch), size, self.generator)
        return sequence_minibatches(batch.sequence, size, self.generator)

    def update_signals(self, rows: Tensor) -> None:
        """Let every reward signal that learns learn from these rows of the rollout."""
        for signal in self.signals:
            if signal.learns and self._signal_batch is not None:
                for tag, value in updated(signal, self._signal_batch[rows]).items():
                    self.record(tag, value)

    # what a run calls

    def receive(self, tick: Tick) -> None:
        """Add rows to the rollout."""
        self.memory.append(tick)
        if self._observers:
            self._unseen.append(tick.rows.input.obs)
        if len(self._unseen) * len(tick.lane) >= NORMALIZED_AT_ONCE:
            self._normalize()

    def learn(self, step: int) -> Metrics | None:
        """Learn once more than `buffer_size` rows lie in closed segments."""
        if self.memory.ready <= self.settings.buffer_size:
            return None
        self._advance_schedules(step)
        self._normalize()
        segments = self.rollout = self.memory.take()
        with torch.no_grad():
            found = self.targets(segments)
        if not (isinstance(found, tuple) and len(found) == 2 and isinstance(found[0], Batch)):
            raise TrainerError(f"{type(self).__name__}.targets must return a Batch and a dict of metrics")
        batch, metrics = found
        self._check_targets(batch, segments)
        self._signal_batch = self.signal_batch(segments.rows, segments.next_input)
        try:
            losses = self.descend(batch)
            check_losses(losses)
            self._imitate_beside(step)
            self.check_weights()
        except NotFinite as error:
            raise error.found_in(batch) from None
        finally:
            self._signal_batch = self.rollout = None
        metrics.update(self.report(losses))
        metrics.update({f"Policy/{title(name)}": value for name, value in self.now.items()})
        return {**metrics, **self._take_recorded()}

    def learn_again(self, rows: Rows) -> None:
        if not isinstance(rows, Batch):
            super().learn_again(rows)
            return
        self.check_weights()
        self.take_step(self.optimizer, self._sum(self._losses(rows)))
        self.check_weights()

    def close(self, lane: Tensor) -> None:
        """End the segments of these lanes at their last rows: their agents are gone."""
        if len(lane):
            self._episodes.drop(lane[~self.memory.close(lane)])

    def close_groups(self, number: Tensor) -> None:
        """End the segments of these (m,) groups: no member is left."""
        self.memory.close_groups(number)

    def forget(self) -> None:
        """Drop the rollout and what running episodes gave."""
        self._normalize()
        self.memory.clear()
        self._episodes.clear()

    def check_parts(self) -> None:
        super().check_parts()
        check_critic(self.critic, self.policy.blank_input(ROWS), len(self.signals))

    def modules(self) -> dict[str, Module]:
        """As every trainer's, with the policy's, the critic's and the optimizer's names in Unity's checkpoints."""
        names = {"Critic": "Optimizer:critic", "Optimizer": "Optimizer:value_optimizer"}
        return {names.get(name, name): module for name, module in super().modules().items()}

    def state_dict(self) -> dict[str, Any]:
        """Return the modules, after the normalizer has seen every row."""
        self._normalize()
        return super().state_dict()

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the losses of a minibatch; the first one's shapes are watched."""
        hook = f"{type(self).__name__}.loss"
        if self._looked:
            losses = self.loss(batch)
            check_terms(hook, losses)
            return losses
        with BroadcastWatch(len(batch)) as watch:
            losses = self.loss(batch)
        check_terms(hook, losses)
        watch.check(hook, losses)
        self._looked = True
        return losses

    def _sum(self, losses: dict[str, Tensor]) -> Tensor:
        """Return what is descended; raises NotFinite, with its name, for a loss that is NaN or infinite."""
        total = sum(losses.values(), losses[next(iter(losses))].new_zeros(()))
        if not math.isfinite(total.item()):
            self.check_weights()  # a weight that is ruined is the cause, and not the loss
            check_losses({name: loss.item() for name, loss in losses.items()})
        return total

    def _check_targets(self, batch: Batch, segments: Segments) -> None:
        """Raise NotFinite, with the rows, for targets that are NaN or infinite."""
        if all_finite([batch.returns, batch.advantage]):
            return
        self.check_weights()
        try:
            for name, column in (("returns", batch.returns), ("advantages", batch.advantage)):
                check_rows_finite(f"the critic's values make {name} that are", column)
        except NotFinite as error:
            raise error.found_in(batch, segments.agent) from None

    def _normalize(self) -> None:
        """Let the normalizer see the rows that came since it last looked."""
        if self._unseen:
            self._observe(tuple(torch.cat(column) for column in zip(*self._unseen, strict=True)))
            self._unseen.clear()


def unique(parameters: list[nn.Parameter]) -> list[nn.Parameter]:
    """Return each parameter once: networks may share some."""
    return list(dict.fromkeys(parameters))
