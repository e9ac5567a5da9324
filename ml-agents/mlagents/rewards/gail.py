"""GAIL: reward for acting like a demonstration. Ho & Ermon 2016, arXiv:1606.03476.

The gradient penalty is that of Gulrajani et al. 2017, arXiv:1704.00028, the bottleneck that of Peng et al. 2019,
arXiv:1810.00821.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mlagents.data.experience import Actions, Experience, PolicyInput
from mlagents.demonstrations.recorded import demonstrated_rows, naming_the_key
from mlagents.nn.body import NetworkBody
from mlagents.nn.layers import flat_action, linear
from mlagents.rewards.settings import GAILSettings
from mlagents.rewards.signal import RewardSignal, SignalBatch, SignalSetup

EPSILON = 1e-7  # keeps logarithms and roots finite
PENALTY = 10.0  # weight of the gradient penalty
CODE = 128  # numbers that pass the bottleneck
BITS = 0.5  # nats that may pass it, I_c of the paper
BETA_STEP = 5e-4  # of beta, alpha_beta of the paper

Inputs = tuple[Tensor, ...]  # one (n, *shape) per sensor; with actions, (n, C + K + 1) of the action and `done` too


class Judgement(NamedTuple):
    """What a discriminator makes of n rows."""

    estimate: Tensor  # (n,) probability that they were demonstrated
    code: Tensor  # (n, CODE) means of what passes the bottleneck, (n, 0) without one


class Discriminator(nn.Module):
    """D(o), or D(o, a, done): the probability that a row was demonstrated.

    With a bottleneck, D sees z = mu(o) + sigma e with normal noise e, and beta weighs how much of o passes.
    """

    beta: Tensor  # () float32

    def __init__(self, setup: SignalSetup, settings: GAILSettings) -> None:
        super().__init__()
        actions = setup.spec.action_spec
        self.branches = tuple(actions.discrete_branches)
        extra = actions.continuous_size + sum(self.branches) + 1 if settings.use_actions else 0
        self.body = NetworkBody(  # what the policy cannot see, it cannot imitate
            setup.spec.observation_specs, settings.network_settings, extra=extra, unseen=setup.critic_only
        )
        size = self.body.width
        self.mean: nn.Linear | None = None
        if settings.use_vail:
            self.mean = linear(size, CODE, 0.1)
            self.sigma = nn.Parameter(torch.ones(CODE))
            self.register_buffer("beta", torch.tensor(0.0))
            size = CODE
        self.head = nn.Linear(size, 1)
        with torch.no_grad():
            nn.init.xavier_uniform_(self.head.weight).mul_(0.2)
            self.head.bias.zero_()

    def inputs(self, obs: tuple[Tensor, ...], action: Actions, done: Tensor) -> Inputs:
        """Return what n rows look like to it; action: as the environment got it, done: (n,) bool."""
        floats = tuple(x.to(torch.float32) / 255 if x.dtype == torch.uint8 else x for x in obs)
        if not self.body.extra:
            return floats
        return (*floats, torch.cat([flat_action(action, self.branches), done.to(torch.float32)[:, None]], 1))

    def forward(self, inputs: Inputs, generator: torch.Generator | None = None) -> Judgement:
        """Return what it makes of n rows; generator: of the bottleneck's noise, None for none."""
        obs, extra = (inputs[:-1], inputs[-1]) if self.body.extra else (inputs, None)
        hidden, _ = self.body.features(PolicyInput.of(obs), extra)
        code = hidden[:, :0]
        if self.mean is not None:
            hidden = code = self.mean(hidden)
            if generator is not None:
                hidden = code + self.sigma * torch.empty_like(code).normal_(generator=generator)
        return Judgement(torch.sigmoid(self.head(hidden)[:, 0]), code)


class GAIL(RewardSignal):
    """-log(1 - D): the more a row looks like a demonstrated one, the larger the reward; never negative."""

    Settings = GAILSettings
    expert: Experience
    """Everything that was demonstrated, with actions as the environment got them."""

    def __init__(self, setup: SignalSetup, settings: Any) -> None:
        """Raises DemonstrationException with the key for demonstrations that cannot be used."""
        super().__init__(setup, settings)
        self.generator = setup.generator
        self.discriminator = Discriminator(setup, settings)
        self.optimizer = self.make_optimizer(list(self.discriminator.parameters()))
        if setup.training:
            with naming_the_key(f"reward_signals.{setup.name}.demo_path"):
                self.expert = demonstrated_rows(settings.demo_path, setup.spec, setup.device)
            self.discriminator.body.observe(self.expert.input.obs)  # once, so that its scale stays

    def evaluate(self, batch: SignalBatch) -> Tensor:
        """Return r = -log(1 - D).  Algorithm 1 of the paper has a cost log D, of a D that is 1 for own rows."""
        estimate = self.discriminator(self._inputs(batch)).estimate
        return -torch.log(1 - estimate * (1 - EPSILON))

    def update(self, batch: SignalBatch) -> dict[str, float]:
        """Descend -log D(expert) - log(1 - D(policy)) + 10 penalty, with as many random rows of the expert."""
        draws = self.generator
        mine, theirs = self._inputs(batch), self._demonstrated(len(batch))
        own, shown = self.discriminator(mine, draws), self.discriminator(theirs, draws)
        loss = -(torch.log(shown.estimate + EPSILON) + torch.log(1 - own.estimate + EPSILON)).mean()
        penalty = PENALTY * self.penalty(mine, theirs)
        metrics = {
            "Policy/GAIL Policy Estimate": own.estimate.mean(),
            "Policy/GAIL Expert Estimate": shown.estimate.mean(),
            "Losses/GAIL Loss": loss,
            "Policy/GAIL Grad Mag Loss": penalty,
        }
        total = loss + penalty
        if self.discriminator.mean is not None:
            divergence = bottleneck(shown.code, own.code, self.discriminator.sigma)
            beta = self.discriminator.beta.clone()
            total = total + beta * (divergence - BITS)
            metrics |= {"Losses/GAIL KL Loss": divergence, "Policy/GAIL Beta": beta}
        self.descend(self.optimizer, total)
        if self.discriminator.mean is not None:
            with torch.no_grad():  # beta <- max(0, beta + alpha_beta (KL - I_c)), dual gradient descent
                self.discriminator.beta.add_(BETA_STEP * (divergence - BITS)).clamp_(min=0)
        return {tag: value.item() for tag, value in metrics.items()}

    def penalty(self, mine: Inputs, theirs: Inputs) -> Tensor:
        """Return mean((|dD/dx| - 1)^2) between the policy's and the expert's rows; x is everything that D sees.

        x = u mine + (1 - u) theirs, with u uniform for each number.  Gulrajani et al. 2017, equation 3
        """
        mixed = tuple(self._between(one, other).requires_grad_() for one, other in zip(mine, theirs, strict=True))
        estimate = self.discriminator(mixed, self.generator).estimate
        slopes = torch.autograd.grad(estimate.sum(), mixed, create_graph=True, materialize_grads=True)
        square = torch.stack([slope.flatten(1).pow(2).sum(1) for slope in slopes]).sum(0)
        return ((square + EPSILON).sqrt() - 1).pow(2).mean()

    def _between(self, one: Tensor, other: Tensor) -> Tensor:
        share = torch.empty_like(one).uniform_(generator=self.generator)
        return share * one + (1 - share) * other

    def _inputs(self, batch: SignalBatch) -> Inputs:
        return self.discriminator.inputs(batch.rows.input.obs, batch.env_action, batch.rows.done)

    def _demonstrated(self, n: int) -> Inputs:
        """Return n random rows of the expert, drawn with replacement."""
        draws = self.generator
        rows = self.expert[torch.randint(len(self.expert), (n,), generator=draws, device=draws.device)]
        return self.discriminator.inputs(rows.input.obs, rows.output.action, rows.done)


def bottleneck(expert: Tensor, own: Tensor, sigma: Tensor) -> Tensor:
    """Return () how much passes: mean(sum(sigma^2 - 1 - log sigma^2 + mu_E^2 / 2 + mu_P^2 / 2)).

    expert, own: (n, CODE) means; sigma: (CODE,). It is twice the mean of KL(N(mu, sigma) || N(0, 1)), as in Unity's
    trainers.
    """
    variance = sigma.pow(2)
    return (variance - 1 - variance.log() + 0.5 * (expert.pow(2) + own.pow(2))).sum(1).mean()
