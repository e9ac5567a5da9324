"""DQN: Q-learning from a replay buffer. Mnih et al. 2015, doi:10.1038/nature14236."""

from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

import mlagents.api as ml


class DQNSettings(ml.OffPolicyHyperparamSettings):
    """DQN."""

    double: bool = True
    """The online network selects the next choice, the target network evaluates it. arXiv:1509.06461."""
    dueling: bool = True
    """Learn the value of a state apart from the advantages of its choices. arXiv:1511.06581."""
    n_step: ml.Int = Field(1, ge=1)
    """Rewards that are summed before the target network bootstraps."""
    tau: float = Field(0.005, gt=0, le=1)
    """Share of the way that the target network goes at each update."""
    target_update_interval: ml.Int = Field(0, ge=0)
    """Updates after which the target network becomes a copy; 0 moves it by tau at each."""
    exploration_schedule: Literal["constant", "linear"] = "linear"
    """Whether the probability of random choices stays, or falls in a straight line."""
    exploration_initial_eps: float = Field(0.1, ge=0, le=1)
    """Probability of random choices at the start."""
    exploration_final_eps: float = Field(0.05, ge=0, le=1)
    """Probability of random choices when the line has ended."""
    exploration_steps: ml.Int = Field(20000, ge=0)
    """Steps that the line takes; 0 takes all of max_steps."""
    margin: float = Field(0.8, ge=0)
    """How far the value of a demonstrated choice must lie above all others. arXiv:1704.03732."""


class QNetwork(ml.Actor):
    """Epsilon-greedy on Q-values; the head's outputs are the values, or with `dueling` the advantages."""

    def __init__(self, setup: ml.TrainerSetup, *, dueling: bool) -> None:
        super().__init__(setup.spec, setup.network)
        self.epsilon = 0.0  # probability that an agent's choices are random; only a trainer that learns raises it
        self.state = ml.linear(self.body.width, 1, 0.1) if dueling else None

    def from_output(self, output: Tensor, mask: Tensor) -> ml.EpsilonGreedy:
        """Return the greedy choices, which the value of the state does not change."""
        return ml.EpsilonGreedy(output, mask, self.branches, self.epsilon)

    def q_values(self, input: ml.PolicyInput) -> Tensor:
        """Return (n, K) values of every choice: V(s) + A(s, a) - mean_a A(s, a) in each branch, if dueling."""
        output: Tensor = self.body(input, self.head)
        if self.state is None:
            return output
        state: Tensor = self.body(input, self.state)
        return state + torch.cat([branch - branch.mean(1, keepdim=True) for branch in self.split(output)], 1)

    def chosen(self, q_values: Tensor, choice: Tensor) -> Tensor:
        """Return the (n, B) values of (n, B) choices."""
        return torch.cat([branch.gather(1, choice[:, i, None]) for i, branch in enumerate(self.split(q_values))], 1)

    def split(self, columns: Tensor) -> tuple[Tensor, ...]:
        """Return one (n, branch size) table per branch."""
        return torch.split_with_sizes(columns, self.branches, 1)


class DQNTrainer(ml.OffPolicyTrainer):
    """All branches on one body, with one target for all of them. Tavakoli et al. 2018, arXiv:1711.08946, eq. 5."""

    Settings = DQNSettings
    capabilities = ml.Capabilities(
        continuous=False, hybrid=False, several_signals=False, demonstrations=True, asymmetric=False
    )
    policy: QNetwork

    def __init__(self, setup: ml.TrainerSetup, settings: Any) -> None:
        super().__init__(setup, settings)
        self.target = self.make_target(self.policy)
        self.optimizer = self.make_optimizer(list(self.policy.parameters()))

    def make_policy(self, setup: ml.TrainerSetup) -> QNetwork:
        return QNetwork(setup, dueling=self.settings.dueling)

    def make_schedules(self, max_steps: int) -> dict[str, ml.AnySchedule]:
        start, end = self.settings.exploration_initial_eps, self.settings.exploration_final_eps
        steps, falls = self.settings.exploration_steps or max_steps, self.settings.exploration_schedule == "linear"
        return {**super().make_schedules(max_steps), "epsilon": ml.Schedule(start, end, steps, falls)}

    def learn(self, step: int) -> ml.Metrics | None:
        self.policy.epsilon = self.schedules["epsilon"](step)
        return super().learn(step)

    def update(self, batch: ml.Transition) -> ml.Metrics:
        q_values, choice = self.policy.q_values(batch.input), batch.action.discrete
        value = self.policy.chosen(q_values, choice)
        margin = ml.margin_loss(q_values, choice, batch.input.mask, self.policy.branches, self.settings.margin)
        error = nn.functional.smooth_l1_loss(value, self.td_target(batch).expand_as(value))
        self.take_step(self.optimizer, error + (batch.demonstrated[:, None] * margin).mean())
        self.move_target(self.target, self.policy, self.settings.tau, interval=self.settings.target_update_interval)
        return {"Losses/Value Loss": error.item(), "Policy/Value Estimate": value.mean().item()}

    def imitate(self, batch: ml.Transition) -> ml.Metrics:
        return self.update(batch)

    @torch.no_grad()
    def td_target(self, batch: ml.Transition) -> Tensor:
        """Return (n, 1) r + gamma^n mean over branches of Q_target(s', argmax_a Q(s', a))."""
        next_input = batch.next_input
        q_values = self.target.q_values(next_input)
        selecting = self.policy.q_values(next_input) if self.settings.double else q_values
        best = ml.EpsilonGreedy(selecting, next_input.mask, self.policy.branches, 0.0).mode().discrete
        return batch.returns + batch.discount * self.target.chosen(q_values, best).mean(1, keepdim=True)
