"""DQN: what each choice is worth, learnt from what was remembered. Mnih et al. 2015, doi:10.1038/nature14236."""

from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

import mlagents.api as ml


class DQNSettings(ml.OffPolicyHyperparamSettings):
    """DQN."""

    double: bool = True
    """The network that learns says which choice is best next, the target only what it is worth. arXiv:1509.06461."""
    dueling: bool = True
    """Learn what a state is worth apart from what a choice adds to it. arXiv:1511.06581."""
    n_step: ml.Int = Field(1, ge=1)
    """Rewards that are counted before the target network says what follows."""
    tau: float = Field(0.005, gt=0, le=1)
    """Share of the way that the target network goes at each update."""
    target_update_interval: ml.Int = Field(0, ge=0)
    """Updates after which the target network becomes a copy; 0 moves it by tau at each."""
    exploration_schedule: Literal["constant", "linear"] = "linear"
    """Whether the chance of a random choice stays, or falls in a straight line."""
    exploration_initial_eps: float = Field(0.1, ge=0, le=1)
    """Chance of a random choice at the start."""
    exploration_final_eps: float = Field(0.05, ge=0, le=1)
    """Chance of a random choice when the line has ended."""
    exploration_steps: ml.Int = Field(20000, ge=0)
    """Steps that the line takes; 0 takes all of max_steps."""
    margin: float = Field(0.8, ge=0)
    """How much more than any other a demonstrated choice must be worth. arXiv:1704.03732."""


class GreedyActor(ml.Actor):
    """Takes the choice of most worth in each branch, or now and then random ones; the head says the worth."""

    samples = False  # an exported model takes the best in both of its outputs: worth is no probability

    def __init__(self, setup: ml.TrainerSetup, *, dueling: bool) -> None:
        super().__init__(setup.spec, setup.network)
        self.epsilon = 0.0  # chance that an agent's choices are random; only a trainer that learns raises it
        self.state = ml.linear(setup.network.hidden_units, 1, 0.1) if dueling else None

    @torch.no_grad()
    def act(self, input: ml.PolicyInput, *, explore: bool = True) -> ml.PolicyOutput:
        """Return choices; nobody asks how likely they were, so log_prob and entropy are 0."""
        worth = self.body(input.obs, self.head)  # what a state is worth apart changes nothing about which is best
        epsilon = self.epsilon if explore and not self.deterministic else 0.0
        worth = torch.where(torch.rand(len(worth), 1) < epsilon, torch.rand_like(worth), worth)  # each draws its own
        action = ml.Actions(worth[:, :0], self.best(worth, input.mask))
        nothing = torch.zeros(action.discrete.shape)
        return ml.PolicyOutput(action, nothing, nothing.sum(1), input.memory)

    def values(self, obs: tuple[Tensor, ...]) -> Tensor:
        """Return the (n, sum of branch sizes) worth of every choice."""
        worth: Tensor = self.body(obs, self.head)
        if self.state is None:
            return worth
        state: Tensor = self.body(obs, self.state)
        return state + torch.cat([branch - branch.mean(1, keepdim=True) for branch in self.split(worth)], 1)

    def best(self, worth: Tensor, mask: Tensor) -> Tensor:
        """Return the (n, B) allowed choices of most worth."""
        return torch.stack([branch.argmax(1) for branch in self.split(torch.where(mask, worth, -torch.inf))], 1)

    def chosen(self, worth: Tensor, choice: Tensor) -> Tensor:
        """Return the (n, B) worth of (n, B) choices."""
        return torch.cat([branch.gather(1, choice[:, i, None]) for i, branch in enumerate(self.split(worth))], 1)

    def split(self, worth: Tensor) -> tuple[Tensor, ...]:
        """Return one (n, branch size) table per branch."""
        return torch.split_with_sizes(worth, self.branches, 1)


class DQNTrainer(ml.OffPolicyTrainer):
    """All branches on one body, and one goal for all of them. Tavakoli et al. 2018, arXiv:1711.08946, eq. 5."""

    Settings = DQNSettings
    capabilities = ml.Capabilities(continuous=False, hybrid=False, several_signals=False, demonstrations=True)
    policy: GreedyActor

    def __init__(self, setup: ml.TrainerSetup, settings: Any) -> None:
        super().__init__(setup, settings)
        self.target = self.make_target(self.policy)
        self.optimizer = self.make_optimizer(list(self.policy.parameters()))

    def make_policy(self, setup: ml.TrainerSetup) -> GreedyActor:
        return GreedyActor(setup, dueling=self.settings.dueling)

    def make_schedules(self, max_steps: int) -> dict[str, ml.Schedule]:
        start, end = self.settings.exploration_initial_eps, self.settings.exploration_final_eps
        steps, falls = self.settings.exploration_steps or max_steps, self.settings.exploration_schedule == "linear"
        return {**super().make_schedules(max_steps), "epsilon": ml.Schedule(start, end, steps, falls)}

    def learn(self, step: int) -> ml.Metrics | None:
        self.policy.epsilon = self.schedules["epsilon"](step)
        return super().learn(step)

    def update(self, batch: ml.Transition) -> ml.Metrics:
        worth, choice = self.policy.values(batch.rows.input.obs), batch.rows.output.action.discrete
        value = self.policy.chosen(worth, choice)
        regret = ml.margin_loss(worth, choice, batch.rows.input.mask, self.policy.branches, self.settings.margin)
        error = nn.functional.smooth_l1_loss(value, self.goal(batch).expand_as(value))
        self.take_step(self.optimizer, error + (batch.demonstrated[:, None] * regret).mean())
        self.move_target(self.target, self.policy, self.settings.tau, interval=self.settings.target_update_interval)
        return {"Losses/Value Loss": error.item(), "Policy/Value Estimate": value.mean().item()}

    def imitate(self, batch: ml.Transition) -> ml.Metrics:
        return self.update(batch)

    @torch.no_grad()
    def goal(self, batch: ml.Transition) -> Tensor:
        """Return the (n, 1) worth that the choices turned out to have, with the next state's own best choices."""
        worth = self.target.values(batch.after)
        judge = self.policy.values(batch.after) if self.settings.double else worth
        best = self.target.chosen(worth, self.policy.best(judge, batch.after_mask))
        return batch.returns + batch.discount * best.mean(1, keepdim=True)
