"""the-name: Q-learning, which learns the value of each choice from whatever was done before.

Memory, pace, checkpoints and the exported model come from `OffPolicyTrainer`; the policy and `update` are yours.
"""

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

import mlagents.api as ml


class TheNameSettings(ml.OffPolicyHyperparamSettings):
    """What `hyperparameters` in the YAML may say, beside what every off-policy trainer takes."""

    tau: float = Field(0.02, gt=0, le=1)
    """Share of the way that the target network goes at each update."""
    epsilon: float = Field(0.05, ge=0, le=1)
    """Probability of random choices once exploration is over; it begins at 1."""
    exploration_steps: ml.Int = Field(10000, ge=1)
    """Steps in which that probability falls to epsilon, in a straight line."""


class TheNameActor(ml.Actor):
    """Takes the allowed choice of the largest value in each branch, or now and then random ones."""

    def __init__(self, setup: ml.TrainerSetup) -> None:
        super().__init__(setup.spec, setup.network)
        self.epsilon = 0.0  # only a trainer that learns raises it: a model that is played explores nothing

    def from_output(self, output: Tensor, mask: Tensor) -> ml.EpsilonGreedy:
        """Read the head's (n, K) output as the values of all choices."""
        return ml.EpsilonGreedy(output, mask, self.branches, self.epsilon)

    def q_values(self, input: ml.PolicyInput) -> tuple[Tensor, ...]:
        """Return one (n, branch size) table per branch: the value of each of its choices."""
        return torch.split_with_sizes(self.body(input, self.head), self.branches, 1)


class TheNameTrainer(ml.OffPolicyTrainer):
    """Each branch learns the values of its own choices, from the value of its own best choice next."""

    trainer_type = "the-name"  # as the YAML says it
    Settings = TheNameSettings
    capabilities = ml.Capabilities(continuous=False, hybrid=False, several_signals=False, asymmetric=False)
    policy: TheNameActor

    def __init__(self, setup: ml.TrainerSetup, settings: Any) -> None:
        super().__init__(setup, settings)
        self.target = self.make_target(self.policy)  # follows slowly, so that the targets hold still
        self.optimizer = self.make_optimizer(list(self.policy.parameters()))

    def make_policy(self, setup: ml.TrainerSetup) -> TheNameActor:
        return TheNameActor(setup)

    def make_schedules(self, max_steps: int) -> dict[str, ml.AnySchedule]:
        falls = ml.Schedule(1.0, self.settings.epsilon, self.settings.exploration_steps, linear=True)
        return {**super().make_schedules(max_steps), "epsilon": falls}

    def learn(self, step: int) -> ml.Metrics | None:
        self.policy.epsilon = self.schedules["epsilon"](step)  # also while there is too little to learn from
        return super().learn(step)

    def update(self, batch: ml.Transition) -> ml.Metrics:
        """Descend once, and return what TensorBoard shows."""
        choice = batch.action.discrete.unsqueeze(2).unbind(1)  # one (n, 1) per branch
        q_values = self.policy.q_values(batch.input)
        value = torch.cat([table.gather(1, chosen) for table, chosen in zip(q_values, choice, strict=True)], 1)
        loss = nn.functional.smooth_l1_loss(value, self.td_target(batch))
        self.take_step(self.optimizer, loss)
        self.soft_update(self.target, self.policy, tau=self.settings.tau)
        return {"Losses/Value Loss": loss.item(), "Policy/Value Estimate": value.mean().item()}

    @torch.no_grad()
    def td_target(self, batch: ml.Transition) -> Tensor:
        """Return the (n, B) values that the choices turned out to have."""
        allowed = torch.split_with_sizes(batch.next_input.mask, self.policy.branches, 1)
        q_values = zip(self.target.q_values(batch.next_input), allowed, strict=True)
        best = torch.stack([table.masked_fill(~mask, -torch.inf).amax(1) for table, mask in q_values], 1)
        return batch.returns + batch.discount * best  # the discount is 0 where an episode ended
