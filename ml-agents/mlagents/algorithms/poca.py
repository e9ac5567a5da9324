"""MA-POCA: multi-agent posthumous credit assignment. Cohen et al. 2021, arXiv:2111.05992."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mlagents.algorithms.capabilities import Capabilities
from mlagents.algorithms.modules import Module
from mlagents.algorithms.objectives import clipped_error, clipped_surrogate, lambda_return, normalized
from mlagents.algorithms.on_policy import Batch, OnPolicyTrainer
from mlagents.algorithms.schedules import AnySchedule, clip_schedules
from mlagents.algorithms.settings import POCASettings
from mlagents.algorithms.trainer import Metrics, TrainerSetup, title
from mlagents.data.groups import NONE, Groups
from mlagents.data.rollout import Segments
from mlagents.nn.body import NetworkBody
from mlagents.nn.groups import GroupCritic

AT_ONCE = 2048  # group steps that are judged together while nothing is learned


@dataclass(frozen=True, slots=True)
class POCABatch(Batch):
    """A batch with what each agent was expected to get, whatever it did."""

    baseline: Tensor = None  # type: ignore[assignment]  # (n, S) before the update


class POCATrainer(OnPolicyTrainer):
    """A value of each group step and a baseline of each agent in it; what any member earns is every member's reward.

    R_t = r_t + gamma ((1 - lambd) V_{t+1} + lambd R_{t+1}) along the steps of the group, A_i = R_t - b_i. A member that
    ended is not in V_{t+1}, but its last step has the R of its group.
    """

    Settings: ClassVar[type[POCASettings]] = POCASettings
    capabilities: ClassVar[Capabilities] = Capabilities(memory=True, groups=True)
    VALUE_WEIGHT, BASELINE_WEIGHT = 0.5, 0.25  # beside the policy's loss, as in Unity's trainer
    critic: GroupCritic

    def make_critic(self, setup: TrainerSetup) -> nn.Module:
        names = [signal.name for signal in self.signals]
        body = getattr(self.policy, "body", None)
        beside = body if isinstance(body, NetworkBody) else None
        return GroupCritic(setup.spec, setup.network, names, beside=beside, memory_size=self.policy.memory_size)

    def make_schedules(self, max_steps: int) -> dict[str, AnySchedule]:
        return {**super().make_schedules(max_steps), **clip_schedules(self.settings, max_steps)}

    def targets(self, segments: Segments) -> tuple[POCABatch, dict[str, Any]]:
        groups = _groups(segments)
        self.critic.count(groups.members)
        value, baseline = self._expectations(segments)
        reward = self._team_rewards(segments)
        returns = self._returns(groups, reward, value, self._following(segments, value))[groups.step]
        advantage = normalized((returns - baseline).mean(1))
        batch = POCABatch(segments.rows, advantage, returns, self.sequence(segments), baseline=baseline)
        metrics = self.episode_metrics(segments, reward[groups.step], value[groups.step])
        for signal, mean in zip(self.signals, baseline.mean(0).tolist(), strict=True):
            metrics[f"Policy/{title(signal.name)} Baseline Estimate"] = mean
        return batch, metrics

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        assert isinstance(batch, POCABatch)
        log_prob, entropy = self.evaluate(batch)
        value, baseline = self.judge(batch)
        epsilon = self.now["epsilon"]
        error = clipped_error(baseline, batch.baseline, batch.returns, epsilon)
        return {
            "policy": clipped_surrogate(log_prob, batch.log_prob, batch.advantage, epsilon),
            "value": self.VALUE_WEIGHT * (batch.returns - value).pow(2).mean(),
            "baseline": self.BASELINE_WEIGHT * error,
            "entropy": -self.now["beta"] * entropy.mean(),
        }

    def judge(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return (n, S) the values of the rows' groups and (n, S) the baselines of their agents, with gradients."""
        assert self.rollout is not None
        groups, rows = _groups(self.rollout), self.rollout.rows
        steps, which = torch.unique(groups.step[batch.row], return_inverse=True)
        value, baseline = self.critic.judge(
            rows.input, rows.output.action, groups.members[steps], which, groups.place[batch.row]
        )
        return value[which], baseline

    def values(self, batch: Batch) -> Tensor:
        return self.judge(batch)[0]

    def report(self, losses: Metrics) -> dict[str, float]:
        named = super().report({name: value for name, value in losses.items() if name != "entropy"})
        named["Losses/Policy Loss"] = abs(losses["policy"])
        named["Losses/Value Loss"] = losses["value"] / self.VALUE_WEIGHT
        named["Losses/Baseline Loss"] = losses["baseline"] / self.BASELINE_WEIGHT
        return named

    def modules(self) -> dict[str, Module]:
        """As every trainer's, with the optimizer's name in Unity's checkpoints."""
        names = {"Optimizer:value_optimizer": "Optimizer:adam"}
        return {names.get(name, name): module for name, module in super().modules().items()}

    def _expectations(self, segments: Segments) -> tuple[Tensor, Tensor]:
        """Return (m, S) the values of all group steps and (n, S) the baselines of all rows."""
        groups, rows = _groups(segments), segments.rows
        values, baselines = [], []
        order = torch.argsort(groups.step, stable=True)
        for steps, mine in _parts(groups.step[order], len(groups.run)):
            agents = order[mine]
            value, baseline = self.critic.judge(
                rows.input, rows.output.action, groups.members[steps], groups.step[agents] - steps.start,
                groups.place[agents],
            )  # fmt: skip
            values.append(value)
            baselines.append(baseline)
        found = torch.cat(baselines)
        return torch.cat(values), torch.empty_like(found).index_copy_(0, order, found)

    def _team_rewards(self, segments: Segments) -> Tensor:
        """Return (m, S) what each signal gives for the group steps: to every member, and to the group once."""
        groups, rows = _groups(segments), segments.rows
        once = replace(rows, group_reward=rows.group_reward * groups.counts)
        reward = self.rewards(replace(segments, rows=once))
        return reward.new_zeros(len(groups.run), reward.shape[1]).index_add_(0, groups.paid, reward)

    def _following(self, segments: Segments, value: Tensor) -> Tensor:
        """Return (m, S) the value of what followed the last step of each run, 0 if its group terminated; 0 elsewhere.

        value: (m, S) of all steps.
        """
        groups = _groups(segments)
        place = segments.closes.cumsum(0) - 1  # of closing rows, in what followed them
        beyond = torch.where(groups.beyond == NONE, NONE, place[groups.beyond])
        found = self.critic.values(segments.last_input(), beyond)
        for column, signal in enumerate(self.signals):
            if not signal.ignores_done:
                found[groups.terminated, column] = 0.0
        return torch.zeros_like(value).index_copy_(0, groups.closing, found)

    def _returns(self, groups: Groups, reward: Tensor, value: Tensor, after: Tensor) -> Tensor:
        """Return (m, S) lambda-returns of group steps.

        Members that are asked at other times than their mates make more steps of the same time: a step counts as the
        share of the members that were asked in it.
        """
        gamma = torch.tensor([signal.gamma for signal in self.signals], device=self.device)
        order, ticks = groups.in_time()
        share = groups.share[order, None]
        closes = torch.zeros_like(groups.run, dtype=torch.bool).index_fill_(0, groups.closing, True)
        found = lambda_return(
            reward[order], value[order], after[order], closes[order], groups.run[order], ticks,
            gamma=gamma**share, lam=self.settings.lambd**share,
        )  # fmt: skip
        return torch.empty_like(found).index_copy_(0, order, found)


def _groups(segments: Segments) -> Groups:
    assert segments.groups is not None  # `capabilities` have groups
    return segments.groups


def _parts(step: Tensor, steps: int) -> Iterator[tuple[slice, slice]]:
    """Yield slices of group steps, and of the rows that belong to them; step: (n,) ascending."""
    for start in range(0, steps, AT_ONCE):
        stop = min(start + AT_ONCE, steps)
        bounds = torch.searchsorted(step, torch.tensor([start, stop], device=step.device))
        yield slice(start, stop), slice(*bounds.tolist())
