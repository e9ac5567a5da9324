"""the-name: Q-learning, which learns what each choice is worth from whatever was done before.

Memory, pace, checkpoints and the exported model come from `OffPolicyTrainer`; who acts and `update` are yours.
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
    """Chance of random choices once exploration is over; it begins at 1."""
    exploration_steps: ml.Int = Field(10000, ge=1)
    """Steps in which that chance falls to epsilon, in a straight line."""


class TheNameActor(ml.Actor):
    """Takes the allowed choice of most worth in each branch, or now and then random ones; the head says the worth."""

    samples = False  # the exported model takes the best, too: worth is no probability to draw from

    def __init__(self, setup: ml.TrainerSetup) -> None:
        super().__init__(setup.spec, setup.network)
        self.epsilon = 0.0  # only a trainer that learns raises it: a model that is played explores nothing

    @torch.no_grad()
    def act(self, input: ml.PolicyInput, *, explore: bool = True) -> ml.PolicyOutput:
        """Return choices; nothing asks how likely they were, so log_prob and entropy are 0."""
        worth = torch.cat(self.worth(input.obs), 1)
        epsilon = self.epsilon if explore and not self.deterministic else 0.0
        worth = torch.where(torch.rand(len(worth), 1) < epsilon, torch.rand_like(worth), worth)  # each agent draws
        branches = self.split(worth.masked_fill(~input.mask, -torch.inf))
        choice = torch.stack([branch.argmax(1) for branch in branches], 1)
        nothing = torch.zeros(choice.shape)
        return ml.PolicyOutput(ml.Actions(worth[:, :0], choice), nothing, nothing.sum(1), input.memory)

    def worth(self, obs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return one (n, branch size) table per branch: what each of its choices is worth."""
        return self.split(self.body(obs, self.head))

    def split(self, columns: Tensor) -> tuple[Tensor, ...]:
        """Return the columns of each branch."""
        return torch.split_with_sizes(columns, self.branches, 1)


class TheNameTrainer(ml.OffPolicyTrainer):
    """Each branch learns what its own choices are worth, from what its own best choice is worth next."""

    trainer_type = "the-name"  # as the YAML says it
    Settings = TheNameSettings
    capabilities = ml.Capabilities(continuous=False, hybrid=False, several_signals=False)
    policy: TheNameActor

    def __init__(self, setup: ml.TrainerSetup, settings: Any) -> None:
        super().__init__(setup, settings)
        self.target = self.make_target(self.policy)  # follows slowly, so that the goals hold still
        self.optimizer = self.make_optimizer(list(self.policy.parameters()))

    def make_policy(self, setup: ml.TrainerSetup) -> TheNameActor:
        return TheNameActor(setup)

    def make_schedules(self, max_steps: int) -> dict[str, ml.Schedule]:
        falls = ml.Schedule(1.0, self.settings.epsilon, self.settings.exploration_steps, linear=True)
        return {**super().make_schedules(max_steps), "epsilon": falls}

    def learn(self, step: int) -> ml.Metrics | None:
        self.policy.epsilon = self.schedules["epsilon"](step)  # also while there is too little to learn from
        return super().learn(step)

    def update(self, batch: ml.Transition) -> ml.Metrics:
        """Descend once, and return what TensorBoard shows."""
        choice = batch.rows.output.action.discrete.unsqueeze(2).unbind(1)  # one (n, 1) per branch
        worth = self.policy.worth(batch.rows.input.obs)
        value = torch.cat([table.gather(1, chosen) for table, chosen in zip(worth, choice, strict=True)], 1)
        loss = nn.functional.smooth_l1_loss(value, self.goal(batch))
        self.take_step(self.optimizer, loss)
        self.soft_update(self.target, self.policy, tau=self.settings.tau)
        return {"Losses/Value Loss": loss.item(), "Policy/Value Estimate": value.mean().item()}

    @torch.no_grad()
    def goal(self, batch: ml.Transition) -> Tensor:
        """Return the (n, B) worth that the choices turned out to have."""
        allowed = self.target.split(batch.after_mask)
        worth = zip(self.target.worth(batch.after), allowed, strict=True)
        best = torch.stack([table.masked_fill(~may, -torch.inf).amax(1) for table, may in worth], 1)
        return batch.returns + batch.discount * best  # the discount is 0 where an episode ended
