"""SAC: soft actor-critic. Haarnoja et al. 2018, arXiv:1812.05905; with choices: Christodoulou 2019, arXiv:1910.07207.

n rows, S reward signals, C continuous actions, B branches, K the sum of their sizes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from mlagents.algorithms.capabilities import Capabilities
from mlagents.algorithms.off_policy import OffPolicyTrainer
from mlagents.algorithms.settings import SACSettings
from mlagents.algorithms.trainer import Metrics, TrainerSetup, title
from mlagents.data.experience import PolicyInput
from mlagents.data.replay import Transition
from mlagents.data.sequence_replay import SequenceBatch
from mlagents.nn.distributions import EPSILON, Categorical, Distribution, Hybrid
from mlagents.nn.policy import SquashedActor
from mlagents.nn.values import Critic, QNetwork

DISCRETE_TARGET = 0.2  # share of a branch's largest entropy that is aimed at


class Sample(NamedTuple):
    """What the policy would do now; C and B may be 0."""

    continuous: Tensor  # (n, C), with gradients to the policy
    log_prob: Tensor  # (n,) of the continuous actions, 0 without any
    probs: list[Tensor]  # one (n, branch size) per branch
    negative_entropy: Tensor  # (n, B) sum_a p log p of each branch


class Views(NamedTuple):
    """What each critic is asked: the inputs of a batch, with what that critic remembers there, if it remembers."""

    q: list[PolicyInput]  # one of n rows per Q network
    value: PolicyInput  # n rows
    target: PolicyInput  # n rows, the next inputs


class SACTrainer(OffPolicyTrainer):
    """Twin critics, a value network with its target, and a temperature for continuous actions and for each branch.

    A recurrent policy has recurrent critics; all are walked along the sequences of a batch. More critics, of which some
    are drawn for each target, and their layer normalization are those of RLPD. Ball et al. 2023, arXiv:2302.02948.
    """

    Settings: ClassVar[type[SACSettings]] = SACSettings
    capabilities: ClassVar[Capabilities] = Capabilities(memory=True, demonstrations=True)
    policy: SquashedActor
    q1: QNetwork
    q2: QNetwork

    def __init__(self, setup: TrainerSetup, settings: Any) -> None:
        super().__init__(setup, settings)
        body, branches = self.policy.body, self.policy.branches
        memory_size = self.policy.memory_size if setup.network.memory is not None else 0
        names, layer_norm = [signal.name for signal in self.signals], settings.critic_layer_norm
        for i in range(settings.critics):  # what critics alone see, they normalize together
            beside = self.q1.body if i else body
            setattr(self, f"q{i + 1}", QNetwork(setup, beside, memory_size=memory_size, layer_norm=layer_norm))
        self.value = Critic(
            setup.spec, setup.network, names, beside=self.q1.body, memory_size=memory_size, remembers=memory_size > 0,
            layer_norm=layer_norm,
        )  # fmt: skip
        self.target = self.make_target(self.value)
        start = math.log(max(settings.init_entcoef, EPSILON))
        self.log_temperature = nn.Parameter(torch.full((1 + len(branches),), start, device=self.device))
        targets = [-float(self.policy.continuous), *(DISCRETE_TARGET * math.log(size) for size in branches)]
        self._entropy_target = torch.tensor(targets, device=self.device)  # (1 + B)
        critics = [p for network in (*self.q_networks, self.value) for p in network.parameters()]
        self.policy_optimizer = self.make_optimizer(list(self.policy.parameters()))
        self.value_optimizer = self.make_optimizer(list(dict.fromkeys(critics)))
        self.entropy_optimizer = self.make_optimizer([self.log_temperature])

    def make_policy(self, setup: TrainerSetup) -> SquashedActor:
        return SquashedActor(setup.spec, setup.network)

    def update(self, batch: Transition) -> Metrics:
        temperature = self.log_temperature.detach().exp()
        sample = self.sample(batch.input, batch.sequence if isinstance(batch, SequenceBatch) else None)
        views = self.views(batch)
        now = [q(_held(view), sample.continuous) for q, view in zip(self.q_networks, views.q, strict=True)]
        policy_loss = self.policy_loss(sample, self.climbed(now), temperature)
        q_losses, value_loss, value = self.value_losses(
            batch, sample, [q.detach() for q in now], temperature, views
        )
        entropy_loss = self.entropy_loss(sample)
        self.take_step(self.policy_optimizer, policy_loss)
        self.take_step(self.value_optimizer, sum(q_losses[1:], q_losses[0]) + value_loss)
        self.take_step(self.entropy_optimizer, entropy_loss)
        self.soft_update(self.target, self.value, tau=self.settings.tau)
        means = value.mean(0).tolist()
        metrics = {f"Policy/{title(s.name)} Value": mean for s, mean in zip(self.signals, means, strict=True)}
        if self.policy.continuous:
            metrics["Policy/Continuous Entropy Coeff"] = temperature[0].item()
        if self.policy.branches:
            metrics["Policy/Discrete Entropy Coeff"] = temperature[1:].mean().item()
        return {
            "Losses/Policy Loss": policy_loss.item(),
            "Losses/Value Loss": value_loss.item(),
            **{f"Losses/Q{i} Loss": loss.item() for i, loss in enumerate(q_losses, 1)},
            **metrics,
        }

    @property
    def q_networks(self) -> list[QNetwork]:
        """All Q networks: `q1`, `q2` and so on."""
        return [getattr(self, f"q{i + 1}") for i in range(self.settings.critics)]

    def climbed(self, now: Sequence[Tensor]) -> Tensor:
        """Return the (n, S, K or 1) values that the policy climbs: of the first of two Q networks, or the mean of more.

        now: of each Q network, at the sampled actions. The mean is that of REDQ, Chen et al. 2021, arXiv:2101.05982.
        """
        return now[0] if len(now) == 2 else torch.stack(tuple(now)).mean(0)

    def views(self, batch: Transition) -> Views:
        """Return what each critic is asked, with gradients through what Q and V remember along sequences."""
        if self.value.memory is None or not isinstance(batch, SequenceBatch):
            return Views([batch.input] * self.settings.critics, batch.input, batch.next_input)
        taken, sequence = batch.action.continuous, batch.sequence
        remembered = [q.along(batch.input, sequence, taken) for q in self.q_networks]
        before, _ = self.value.along(batch.input, sequence)
        with torch.no_grad():
            _, after = self.target.along(batch.input, sequence)
        return Views(
            [replace(batch.input, memory=memory) for memory, _ in remembered],
            replace(batch.input, memory=before),
            replace(batch.next_input, memory=after),
        )

    def sample(self, input: PolicyInput, sequence: Tensor | None = None) -> Sample:
        """Return what the policy does in these states now, with gradients; sequence: (n,) of each row, for memory."""
        if sequence is None:
            return self._sampled(self.policy.distribution(input), len(input.mask))
        walked = list(self.policy.along_sequences(input, sequence))
        parts = [self._sampled(distribution, len(rows)) for rows, distribution in walked]
        return _in_order(parts, torch.cat([rows for rows, _ in walked]))

    def _sampled(self, distribution: Distribution, n: int) -> Sample:
        """Return what is drawn from a distribution of n rows."""
        parts: list[Distribution] = [distribution]
        if isinstance(distribution, Hybrid):
            parts = [distribution.continuous, distribution.discrete]
        like = self.log_temperature
        continuous, log_prob = like.new_zeros((n, 0)), like.new_zeros(n)
        probs: list[Tensor] = []
        negative_entropy = like.new_zeros((n, 0))
        for part in parts:
            if isinstance(part, Categorical):
                probs = part.probs
                negative_entropy = torch.stack([(p * torch.log(p + EPSILON)).sum(1) for p in probs], 1)
            else:
                action = part.rsample(self.generator)
                continuous, log_prob = action.continuous, part.log_prob(action).sum(1)
        return Sample(continuous, log_prob, probs, negative_entropy)

    def policy_loss(self, sample: Sample, climbed: Tensor, temperature: Tensor) -> Tensor:
        """Return the mean of sum_i sum_a (alpha_i p log p - p Q) + alpha_c log pi, Q averaged over signals.

        Without branches, the mean of alpha_c log pi - Q. climbed: (n, S, K or 1), with gradients to the actions.
        """
        q = climbed.mean(1)
        loss = temperature[0] * sample.log_prob
        if not sample.probs:
            return (loss - q[:, 0]).mean()
        expected = (torch.cat(sample.probs, 1) * q).sum(1)  # through the continuous actions too, so Q counts once
        return (loss + (temperature[1:] * sample.negative_entropy).sum(1) - expected).mean()

    def value_losses(
        self, batch: Transition, sample: Sample, now: Sequence[Tensor], temperature: Tensor, views: Views
    ) -> tuple[list[Tensor], Tensor, Tensor]:
        """Return the losses of all Q networks and of the value network, and the (n, S) values.

        now: (n, S, K or 1) of each Q network, at the sampled actions; views: what the critics are asked.

        L_Q = 1/2 mean (r + gamma V'(s') - Q(s, a))^2
        L_V = 1/2 mean (V(s) - (min_j E_pi Q_j(s, .) - sum of alpha log pi))^2, j among `target_critics` random ones
        """
        with torch.no_grad():
            td_target = batch.returns + batch.discount * self.target(views.target)  # (n, S)
            soft = torch.stack([self._expected(now[j], sample) for j in self._drawn()]).amin(0)
            entropy = temperature[0] * sample.log_prob
            if sample.probs:
                entropy = entropy + (temperature[1:] * sample.negative_entropy).mean(1)
            soft = soft - entropy[:, None]
        action = batch.action.continuous
        taken = [self._taken(q(view, action), batch) for q, view in zip(self.q_networks, views.q, strict=True)]
        value: Tensor = self.value(views.value)
        return [0.5 * (td_target - q).pow(2).mean() for q in taken], 0.5 * (value - soft).pow(2).mean(), value.detach()

    def entropy_loss(self, sample: Sample) -> Tensor:
        """Return -mean alpha_c (log pi + H_c) - mean over branches of alpha_i (sum_a p log p + H_i)."""
        temperature = self.log_temperature.exp()
        loss = temperature.new_zeros(())
        if self.policy.continuous:
            loss = loss - (temperature[0] * (sample.log_prob.detach() + self._entropy_target[0])).mean()
        if self.policy.branches:
            off = sample.negative_entropy.detach() + self._entropy_target[1:]
            loss = loss - (temperature[1:] * off).mean()
        return loss

    def _drawn(self) -> list[int]:
        """Return which Q networks the target of this update looks at."""
        every, some = self.settings.critics, self.settings.target_critics
        if some == every:
            return list(range(every))
        drawn: list[int] = torch.randperm(every, generator=self.generator, device=self.generator.device)[:some].tolist()
        return drawn

    def _expected(self, q: Tensor, sample: Sample) -> Tensor:
        """Return (n, S) values of what the policy does: the mean over branches of sum_a p Q."""
        if not sample.probs:
            return q[:, :, 0]
        parts = torch.split_with_sizes(q, self.policy.branches, 2)
        each = [(p[:, None] * part).sum(2) for p, part in zip(sample.probs, parts, strict=True)]
        return torch.stack(each).mean(0)

    def _taken(self, q: Tensor, batch: Transition) -> Tensor:
        """Return (n, S) values of the actions of the batch: the mean over branches of the choices taken."""
        if not self.policy.branches:
            return q[:, :, 0]
        parts = torch.split_with_sizes(q, self.policy.branches, 2)
        choice = batch.action.discrete[:, None].expand(-1, q.shape[1], -1)  # (n, S, B)
        return torch.cat([part.gather(2, choice[:, :, i, None]) for i, part in enumerate(parts)], 2).mean(2)


def _held(view: PolicyInput) -> PolicyInput:
    """Return the same input, without gradients to what is remembered there."""
    return replace(view, memory=view.memory.detach()) if view.memory.requires_grad else view


def _in_order(parts: list[Sample], rows: Tensor) -> Sample:
    """Return the samples of parts as one, in the order of a batch; rows: (n,) where each row of the parts is in it."""
    if len(parts) > 1:
        columns = zip(*((p.continuous, p.log_prob, p.negative_entropy) for p in parts), strict=True)
        continuous, log_prob, negative_entropy = map(torch.cat, columns)
        probs = [torch.cat(branch) for branch in zip(*(p.probs for p in parts), strict=True)]
        parts = [Sample(continuous, log_prob, probs, negative_entropy)]
    back, (whole,) = torch.argsort(rows), parts
    return Sample(
        whole.continuous[back], whole.log_prob[back], [branch[back] for branch in whole.probs],
        whole.negative_entropy[back],
    )  # fmt: skip
