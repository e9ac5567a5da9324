"""Who answers a team that does not learn: copies of policies, models, and random play."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mlagents.collect.acting import Acting, ActingPolicy
from mlagents.data.experience import Actions, PolicyInput, PolicyOutput
from mlagents.evaluation.model_player import ModelPlayer
from mlagents.nn.policy import Policy
from mlagents.selfplay.settings import SelfPlaySettings, names_of
from mlagents.selfplay.weights import Weights
from mlagents_envs.base_env import ActionSpec, BehaviorSpec

MakeActing = Callable[[torch.Generator], Acting]  # from the generator of what it draws


class RandomActing:
    """Draws actions uniformly: numbers from -1 to 1, and any choice that is allowed."""

    def __init__(self, spec: ActionSpec, generator: torch.Generator) -> None:
        self.memory_size = 0
        self._spec = spec
        self._generator = generator

    def act(self, input: PolicyInput, *, explore: bool = True) -> PolicyOutput:
        """Return random actions of n agents, whether or not they are to explore."""
        n, device = len(input.mask), self._generator.device
        continuous = 2 * torch.rand(n, self._spec.continuous_size, generator=self._generator, device=device) - 1
        branches = torch.split(input.mask.to(device).float(), list(self._spec.discrete_branches), 1)
        choices = [torch.multinomial(allowed, 1, generator=self._generator) for allowed in branches]
        discrete = torch.cat(choices, 1) if choices else torch.zeros(n, 0, dtype=torch.int64, device=device)
        return _output(Actions(continuous, discrete), input)

    def env_action(self, action: Actions) -> Actions:
        """Return the same actions."""
        return action


class ModelActing:
    """A model in Unity's format. What it draws, onnxruntime draws: a resumed run has other numbers there."""

    def __init__(self, player: ModelPlayer) -> None:
        self.memory_size = player.memory_size
        self._player = player

    def act(self, input: PolicyInput, *, explore: bool = True) -> PolicyOutput:
        """Return the model's actions of n agents; they are drawn, whether or not they are to explore."""
        obs = tuple(column.cpu().numpy() for column in input.obs)
        action, memory = self._player.act(obs, input.mask.cpu().numpy(), input.memory.cpu().numpy())
        device = input.mask.device
        columns = (action.continuous, action.discrete.astype(np.int64), memory)
        continuous, discrete, remembered = (torch.from_numpy(np.ascontiguousarray(each)).to(device) for each in columns)
        return _output(Actions(continuous, discrete), input, remembered)

    def env_action(self, action: Actions) -> Actions:
        """Return the same actions."""
        return action


class Seat:
    """Who answers a team that does not learn, one after another; agents have room for the largest memory of them."""

    def __init__(self, newest: ActingPolicy, generator: torch.Generator, fixed: Mapping[str, MakeActing]) -> None:
        """newest: of the behavior, which is copied. generator: of what is drawn. fixed: other opponents, by name."""
        self._newest = newest
        self._fixed = {name: make(generator) for name, make in fixed.items()}
        self._copy = newest.snapshot()
        self._copy.policy.generator = generator
        self._acting: Acting = self._copy
        self.generator = generator
        self.weights: Weights | None = None
        """Of the policy that plays here; None where a fixed opponent does."""
        sizes = [self._copy.policy.memory_size, *(acting.memory_size for acting in self._fixed.values())]
        self.memory_size = max(sizes)

    @property
    def policy(self) -> Policy:
        """The copy that answers unless a fixed opponent does."""
        return self._copy.policy

    def seat_copy(self, weights: Weights | None = None) -> None:
        """Let a policy with these weights answer, by default those of the newest, as they are now."""
        self.weights = Weights.of(self._newest.policy) if weights is None else weights
        self.weights.load_into(self._copy.policy)
        self._acting = self._copy

    def seat_fixed(self, name: str) -> None:
        """Let a fixed opponent answer."""
        self.weights, self._acting = None, self._fixed[name]

    def act(self, input: PolicyInput, *, explore: bool = True) -> PolicyOutput:
        """Return the actions of n agents, with memory as wide as the widest."""
        acting, width = self._acting, self._acting.memory_size
        if width == self.memory_size:
            return acting.act(input, explore=explore)
        own = PolicyInput(input.obs, input.mask, input.memory[:, :width])
        output = acting.act(own, explore=explore)
        memory = torch.zeros_like(input.memory)
        memory[:, :width] = output.memory
        return PolicyOutput(output.action, output.log_prob, output.entropy, memory)

    def env_action(self, action: Actions) -> Actions:
        """Return what the environment gets for these actions of whoever acted last."""
        return self._acting.env_action(action)


def fixed_opponents(
    settings: SelfPlaySettings, spec: BehaviorSpec, behavior: str, *, seed: int
) -> dict[str, MakeActing]:
    """Return what makes the opponents that never learn, by the names that a ladder has for them.

    Raises UnityPolicyException for a file that is no model, or one of other agents.
    """
    found: dict[str, MakeActing] = {}
    for number, (name, each) in enumerate(zip(names_of(settings.opponents), settings.opponents, strict=True)):
        if each.model is None:
            found[name] = partial(RandomActing, spec.action_spec)
        else:
            own = max(seed, 0) + number
            player = ModelPlayer(Path(each.model), spec, behavior, deterministic=False, seed=own)
            found[name] = partial(_same, ModelActing(player))
    return found


def _same(acting: Acting, _: torch.Generator) -> Acting:
    return acting


def _output(action: Actions, input: PolicyInput, memory: Tensor | None = None) -> PolicyOutput:
    """Return what answers n agents where nobody learns from it: probabilities are left at zero."""
    n, columns = len(input.mask), action.continuous.shape[1] + action.discrete.shape[1]
    zeros = torch.zeros(n, columns, device=input.mask.device)
    return PolicyOutput(action, zeros, zeros.new_zeros(n), input.memory if memory is None else memory)
