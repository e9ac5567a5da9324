"""The critic of a group: the value of all that it sees, and what it would be worth whatever one member did."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mlagents.data.experience import Actions, PolicyInput
from mlagents.data.groups import NONE
from mlagents.nn.attention import HEADS, ResidualSelfAttention
from mlagents.nn.body import NetworkBody
from mlagents.nn.layers import flat_action, linear
from mlagents.nn.settings import NetworkSettings
from mlagents.nn.values import critic_body, value_head
from mlagents_envs.base_env import BehaviorSpec


class GroupCritic(nn.Module):
    """V(o_1 .. o_k) and b_i(o_i, (o_j, a_j) of mates j), S values each: k agents in any order, as many as there are.

    Every agent is embedded, by g if it is seen and by f if its action is known too; they attend to each other and are
    averaged. Both questions are answered by the same weights. G is the most members of a group in a batch.
    Cohen et al. 2021, arXiv:2111.05992, sections 4 and 5
    """

    largest: Tensor  # () the most members that a group ever had

    def __init__(
        self, spec: BehaviorSpec, settings: NetworkSettings, signals: Sequence[str], *,
        beside: NetworkBody | None = None, memory_size: int = 0,
    ) -> None:  # fmt: skip
        """beside: the actor's body, whose normalizer is shared where both see the same vectors.

        memory_size: of the policy's memory, which the critic sees too. Goals are observations like others here.
        """
        super().__init__()
        width, actions = settings.hidden_units, spec.action_spec
        self.branches = tuple(actions.discrete_branches)
        one_layer = settings.model_copy(update={"num_layers": 1, "goal_conditioning_type": "none"})
        self.body = critic_body(spec.observation_specs, one_layer, beside, extra=memory_size)  # encoders, and g
        scale = math.sqrt(0.125 / width)  # of the weights of both embeddings
        seeing = self.body.layers[0]
        assert isinstance(seeing, nn.Linear)
        nn.init.normal_(seeing.weight, std=scale)
        acting = seeing.in_features + actions.continuous_size + sum(self.branches)
        self.acting = linear(acting, width, scale * math.sqrt(acting))  # f
        self.attention = ResidualSelfAttention(width, math.gcd(width, HEADS))
        self.layers = nn.ModuleList(linear(width, width, 1.0) for _ in range(max(settings.num_layers, 1)))
        self.head = value_head(width + 1, len(signals))
        self.register_buffer("largest", torch.ones(()))

    def forward(self, input: PolicyInput) -> Tensor:
        """Return (n, S) values of agents that are alone."""
        return self.values(input, torch.arange(len(input), device=input.mask.device)[:, None])

    def values(self, input: PolicyInput, members: Tensor) -> Tensor:
        """Return (m, S) values of groups; members: (m, G) the rows of `input` in each, NONE where there are fewer."""
        used, at, present = _used(members)
        return self._answer(self.body.hidden(self._encode(input[used]))[at], present)

    def judge(
        self, input: PolicyInput, action: Actions, members: Tensor, group: Tensor, place: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return (m, S) values of groups and (k, S) baselines of agents.

        members: (m, G) as for `values`; group, place: (k,) each agent's row and column in it.
        """
        used, at, present = _used(members)
        x = self._encode(input[used])
        seen = self.body.hidden(x)
        acting = nn.functional.silu(self.acting(torch.cat([x, flat_action(action[used], self.branches)], 1)))
        own = torch.arange(members.shape[1], device=place.device) == place[:, None]
        of_agents = torch.where(own[:, :, None], seen[at[group]], acting[at[group]])
        both = self._answer(torch.cat([seen[at], of_agents]), torch.cat([present, present[group]]))
        return both[: len(members)], both[len(members) :]

    def count(self, members: Tensor) -> None:
        """Take notice of the sizes of groups; members: (m, G)."""
        most = (members != NONE).sum(1).max()
        self.largest.copy_(torch.maximum(self.largest, most.to(self.largest)))

    def observe(self, obs: tuple[Tensor, ...]) -> None:
        """Let the normalizer see more rows; a trainer's template does so."""
        self.body.observe(obs)

    def _encode(self, input: PolicyInput) -> Tensor:
        return self.body.inputs(input, input.memory if self.body.extra else None)

    def _answer(self, embedded: Tensor, present: Tensor) -> Tensor:
        """Return (m, S); embedded: (m, G, width), present: (m, G) bool."""
        x = self.attention(embedded, present)
        for layer in self.layers:
            x = nn.functional.silu(layer(x))
        size = 2 * present.sum(1, keepdim=True) / self.largest - 1
        return self.head(torch.cat([x, size], 1))  # type: ignore[no-any-return]


def _used(members: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the rows that occur in (m, G) row numbers, (m, G) the place of each among them, and where one is."""
    present = members != NONE
    used, which = torch.unique(members[present], return_inverse=True)
    return used, torch.zeros_like(members).masked_scatter_(present, which), present
