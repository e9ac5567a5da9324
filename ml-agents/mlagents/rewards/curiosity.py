"""Curiosity: reward for what could not be foretold. Pathak et al. 2017, arXiv:1705.05363."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mlagents.data.experience import Actions, PolicyInput
from mlagents.nn.body import NetworkBody
from mlagents.nn.layers import flat_action, linear
from mlagents.nn.settings import NetworkSettings
from mlagents.rewards.settings import CuriositySettings
from mlagents.rewards.signal import RewardSignal, SignalBatch, SignalSetup
from mlagents_envs.base_env import BehaviorSpec

HIDDEN = 256  # units between features and what is foretold
FORWARD, INVERSE = 0.2, 0.8  # shares of the two losses, beta and 1 - beta of the paper
SCALE = 10.0  # of both together, as in Unity's trainers
EPSILON = 1e-10  # keeps logarithms finite


class Errors(NamedTuple):
    """What was foretold wrongly, (n,) each."""

    forward: Tensor  # of the next features
    inverse: Tensor  # of the action between them


class CuriosityModule(nn.Module):
    """Features phi of observations, with a forward and an inverse model of them.

    inverse: a' = g(phi(o), phi(o'))        L_I = |a - a'|^2 - sum over branches of log p'(choice)   equations 2, 3
    forward: phi' = f(phi(o), a)            L_F = |phi' - phi(o')|^2 / 2                             equations 4, 5
    """

    has_learned: Tensor  # () bool

    def __init__(self, spec: BehaviorSpec, network: NetworkSettings) -> None:
        super().__init__()
        self.continuous = spec.action_spec.continuous_size
        self.branches = tuple(spec.action_spec.discrete_branches)
        self.encoder = NetworkBody(spec.observation_specs, network)
        actions, features = self.continuous + sum(self.branches), self.encoder.width
        head = nn.Linear(HIDDEN, actions)
        nn.init.xavier_uniform_(head.weight)
        nn.init.zeros_(head.bias)
        self.inverse = nn.Sequential(linear(2 * features, HIDDEN, 1.0), nn.SiLU(), head)
        self.forward_model = nn.Sequential(
            linear(features + actions, HIDDEN, 1.0), nn.SiLU(), linear(HIDDEN, features, 1.0)
        )
        self.register_buffer("has_learned", torch.tensor(False))

    def forward(self, input: PolicyInput, action: Actions, next_input: PolicyInput) -> Errors:
        """Return the errors of n rows; gradients of both reach the features, also those that are foretold."""
        (now, _), (after, _) = self.encoder.features(input), self.encoder.features(next_input)
        foretold = self.forward_model(torch.cat([now, flat_action(action, self.branches)], 1))
        inverse = self.inverse(torch.cat([now, after], 1))
        off = (action.continuous - inverse[:, : self.continuous]).pow(2).sum(1)
        for i, logits in enumerate(inverse[:, self.continuous :].split(self.branches, 1) if self.branches else ()):
            probs = torch.softmax(logits, 1).gather(1, action.discrete[:, i : i + 1])
            off = off - torch.log(probs[:, 0] + EPSILON)
        return Errors(0.5 * (foretold - after).pow(2).sum(1), off)


class Curiosity(RewardSignal):
    """The error of foretelling the features of what is seen next; 0 until the first update.

    Times its strength, the reward is 1 at most.
    """

    Settings = CuriositySettings
    ignores_done = True

    def __init__(self, setup: SignalSetup, settings: Any) -> None:
        super().__init__(setup, settings)
        self.network = CuriosityModule(setup.spec, settings.network_settings)
        self.optimizer = self.make_optimizer(list(self.network.parameters()))

    def errors(self, batch: SignalBatch) -> Errors:
        """Return what the network foretells wrongly of n rows, with actions as they were sampled."""
        rows = batch.rows
        found: Errors = self.network(rows.input, rows.output.action, batch.next_input)
        return found

    def evaluate(self, batch: SignalBatch) -> Tensor:
        if not self.network.has_learned:
            return torch.zeros_like(batch.rows.reward)
        reward = self.errors(batch).forward  # equation 6, with eta 1
        return reward.clamp(max=1 / self.strength) if self.strength > 0 else reward

    def update(self, batch: SignalBatch) -> dict[str, float]:
        self.network.encoder.observe(batch.rows.input.obs)
        errors = self.errors(batch)
        forward, inverse = errors.forward.mean(), errors.inverse.mean()
        self.descend(self.optimizer, SCALE * (FORWARD * forward + INVERSE * inverse))
        self.network.has_learned.fill_(True)
        return {"Losses/Curiosity Forward Loss": forward.item(), "Losses/Curiosity Inverse Loss": inverse.item()}
