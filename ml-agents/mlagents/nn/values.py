"""Value networks: V(s), and Q(s, a)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from mlagents.data.experience import Actions, PolicyInput
from mlagents.data.minibatches import steps_of
from mlagents.nn.body import NetworkBody
from mlagents.nn.layers import UnsupportedNetwork, flat_action
from mlagents.nn.sensors import by_kind
from mlagents.nn.settings import NetworkSettings
from mlagents_envs.base_env import BehaviorSpec, ObservationSpec


class NetworkSetup(Protocol):
    """What a network is made from."""

    @property
    def spec(self) -> BehaviorSpec:
        """What agents see and may do."""

    @property
    def network(self) -> NetworkSettings:
        """The YAML's network_settings."""

    @property
    def signals(self) -> Sequence[object]:
        """The reward signals."""


def critic_body(
    sensors: Sequence[ObservationSpec], settings: NetworkSettings, beside: NetworkBody | None, *, extra: int = 0,
    remembers: bool = False, layer_norm: bool = False,
) -> NetworkBody:  # fmt: skip
    """Return a body that sees every sensor, also those that are for the critic only.

    extra, remembers, layer_norm: as of `NetworkBody`.

    beside: the actor's body, or that of another critic, whose normalizer is shared where both see the same vectors.
    """
    same = beside is not None and beside.kinds.vectors == by_kind(sensors).vectors
    normalizer = beside.normalizer if beside is not None and same else None
    return NetworkBody(sensors, settings, normalizer, extra=extra, remembers=remembers, layer_norm=layer_norm)


class CriticMemory(nn.Module):
    """Where the recurrent cell of a critic begins a sequence, and what it remembers along it.

    It begins with a linear function of what the policy remembered there, so with zeros at the start of an episode.
    """

    def __init__(self, body: NetworkBody, memory_size: int) -> None:
        """body: the critic's, which has a cell; memory_size: of the policy's memory."""
        super().__init__()
        assert body.memory is not None
        self.start = nn.Linear(memory_size, body.memory.size, bias=False)
        nn.init.orthogonal_(self.start.weight)

    def along(
        self, body: NetworkBody, input: PolicyInput, sequence: Tensor, extra: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the critic's (n, size) memory before and after each row, with gradients through time.

        input: with the policy's memory; sequence: (n,) the number of each row's sequence; extra: as of the body.
        """
        assert body.memory is not None
        steps = steps_of(sequence)
        start, hidden = self.start(input.memory[steps[0]]), body.hidden(body.inputs(input, extra))
        walked = list(body.memory.walk(hidden, start, steps))
        back = torch.argsort(torch.cat(steps))
        before, after = (torch.cat(column)[back] for column in zip(*((s.before, s.after) for s in walked), strict=True))
        return before, after


class Critic(nn.Module):
    """V(s) with one head per reward signal; S is their number."""

    def __init__(
        self, spec: BehaviorSpec, settings: NetworkSettings, signals: Sequence[str], *,
        beside: NetworkBody | None = None, shares_body: bool = False, memory_size: int = 0, remembers: bool = False,
        layer_norm: bool = False,
    ) -> None:  # fmt: skip
        """beside: the actor's body, whose normalizer is shared where both see the same vectors.

        shares_body: sit on that body; raises UnsupportedNetwork where the critic is to see more. memory_size: of the
        policy's memory, which the critic sees too. remembers: see of it only where a sequence begins, and remember
        from there on; then `input.memory` is the critic's own. layer_norm: of its own hidden layers.
        """
        super().__init__()
        self.signals = tuple(signals)
        self.memory: CriticMemory | None = None
        if beside is not None and shares_body:
            if beside.unseen:
                raise UnsupportedNetwork(
                    f"hyperparameters.shared_critic: the critic cannot sit on the policy's body, for it alone sees "
                    f"{', '.join(beside.unseen)}; set shared_critic to false, or let the policy see them too"
                )
            self.body = beside
        elif remembers:
            self.body = critic_body(spec.observation_specs, settings, beside, remembers=True, layer_norm=layer_norm)
            self.memory = CriticMemory(self.body, memory_size)
        else:
            self.body = critic_body(
                spec.observation_specs, settings, beside, extra=memory_size, layer_norm=layer_norm
            )
        self.head = value_head(self.body.width, len(self.signals))

    def forward(self, input: PolicyInput) -> Tensor:
        """Return (n, S) values."""
        return self.body(input, self.head, input.memory if self.body.extra else None)  # type: ignore[no-any-return]

    def along(self, input: PolicyInput, sequence: Tensor) -> tuple[Tensor, Tensor]:
        """Return what it remembers before and after each row, as `CriticMemory.along`; of one that remembers."""
        assert self.memory is not None
        return self.memory.along(self.body, input, sequence)

    def observe(self, obs: tuple[Tensor, ...]) -> None:
        """Let the normalizer see more rows; a trainer's template does so."""
        self.body.observe(obs)


class QNetwork(nn.Module):
    """Q(s, a): continuous actions are an input; of choices, every one's value is an output.

    With a cell of its own it remembers the actions that were taken; then `input.memory` is this network's. K is the sum
    of the sizes of branches.
    """

    def __init__(
        self, setup: NetworkSetup, beside: NetworkBody, *, memory_size: int = 0, layer_norm: bool = False
    ) -> None:
        """setup, beside: as of `ActionCritic`; memory_size: of the policy's memory, 0 for no cell."""
        super().__init__()
        actions, remembers = setup.spec.action_spec, memory_size > 0
        self.signals, self.choices = len(setup.signals), sum(actions.discrete_branches)
        self.body = critic_body(
            setup.spec.observation_specs, setup.network, beside, extra=actions.continuous_size, remembers=remembers,
            layer_norm=layer_norm,
        )  # fmt: skip
        self.memory = CriticMemory(self.body, memory_size) if memory_size else None
        self.head = value_head(self.body.width, self.signals * max(self.choices, 1))

    def forward(self, input: PolicyInput, continuous: Tensor) -> Tensor:
        """Return (n, S, K) values of every choice, or (n, S, 1) where there are none."""
        output: Tensor = self.body(input, self.head, self._extra(continuous))
        return output.view(len(output), self.signals, -1)

    def along(self, input: PolicyInput, sequence: Tensor, continuous: Tensor) -> tuple[Tensor, Tensor]:
        """Return what it remembers before and after each row, as `CriticMemory.along`; continuous: (n, C), taken."""
        assert self.memory is not None
        return self.memory.along(self.body, input, sequence, self._extra(continuous))

    def _extra(self, continuous: Tensor) -> Tensor | None:
        return continuous if self.body.extra else None


class ActionCritic(nn.Module):
    """Q(s, a) of several networks that begin differently, each with one head per reward signal.

    Actions enter beside the encoded observations: continuous ones as they are, choices as one-hot.
    """

    def __init__(self, setup: NetworkSetup, *, beside: NetworkBody, twins: int = 2) -> None:
        """setup: a `TrainerSetup`; twins: how many networks.

        beside: the actor's body, whose normalizer is shared where both see the same vectors.
        """
        super().__init__()
        actions = setup.spec.action_spec
        self.branches = tuple(actions.discrete_branches)
        sensors, extra = setup.spec.observation_specs, actions.continuous_size + sum(self.branches)
        bodies = [critic_body(sensors, setup.network, beside, extra=extra)]
        bodies += [critic_body(sensors, setup.network, bodies[0], extra=extra) for _ in range(1, twins)]
        self.bodies = nn.ModuleList(bodies)
        self.heads = nn.ModuleList(value_head(body.width, len(setup.signals)) for body in bodies)

    def forward(self, input: PolicyInput, action: Actions) -> Tensor:
        """Return (twins, n, S) values of `action`."""
        extra = flat_action(action, self.branches)
        return torch.stack([body(input, head, extra) for body, head in zip(self.bodies, self.heads, strict=True)])


def value_head(inputs: int, signals: int) -> nn.Linear:
    """Return a linear layer with one output per reward signal, each drawn as if it were alone."""
    head = nn.Linear(inputs, signals)
    with torch.no_grad():
        for row in head.weight:
            nn.init.xavier_uniform_(row[None])
    nn.init.zeros_(head.bias)
    return head
