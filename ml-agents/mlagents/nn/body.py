"""From observations to features, and on to the outputs of a head."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mlagents.data.experience import PolicyInput
from mlagents.nn import fast
from mlagents.nn.attention import EMBEDDING, EntityEncoder
from mlagents.nn.conditioning import GoalLayer
from mlagents.nn.encoders import ImageEncoder
from mlagents.nn.layers import UnsupportedNetwork, is_traced, linear, side_by_side
from mlagents.nn.memory import Memory
from mlagents.nn.normalize import Normalizer
from mlagents.nn.sensors import Kinds, by_kind
from mlagents.nn.settings import NetworkSettings
from mlagents_envs.base_env import ObservationSpec, ObservationType


class NetworkBody(nn.Module):
    """Observations side by side, through layers of linear and swish; the last layer is conditioned on the goal, if any.

    Vectors come first, normalized if asked; then what each image, and then what all entities are encoded as.
    """

    def __init__(
        self, sensors: Sequence[ObservationSpec], settings: NetworkSettings, normalizer: Normalizer | None = None, *,
        extra: int = 0, remembers: bool = False, layer_norm: bool = False, unseen: Collection[str] = (),
    ) -> None:  # fmt: skip
        """normalizer: another body's, which sees the same rows; extra: size of further inputs beside observations.

        remembers: put the recurrent cell of `settings.memory`, if any, behind the layers. layer_norm: normalize what
        each hidden layer gives (Ba et al. 2016, arXiv:1607.06450). unseen: names of sensors that it does not look at.
        Raises UnsupportedNetwork where there is no encoder for a sensor.
        """
        super().__init__()
        hidden = settings.hidden_units
        self.kinds = by_kind(sensors, unseen)
        self.unseen = tuple(unseen)
        sizes = {i: sensors[i].shape[0] for i in self.kinds.vectors}  # what each sensor is encoded as, in order
        size = sum(sizes.values())
        if settings.normalize and size and normalizer is None:
            normalizer = Normalizer(size)
        if normalizer is not None and (known := len(normalizer.running_mean)) != size:
            raise UnsupportedNetwork(
                f"the normalizer is of {known} numbers, but this network sees vectors of {size}; "
                "share one only between networks that see the same sensors: see network_settings.critic_only"
            )
        self.normalizer = normalizer
        self.images = nn.ModuleList(
            ImageEncoder(sensors[i], settings.vis_encode_type, hidden) for i in self.kinds.images
        )
        sizes |= dict.fromkeys(self.kinds.images, hidden)
        size = sum(sizes.values())
        self.entities = None
        if self.kinds.entities:
            self.entities = EntityEncoder(size, [sensors[i].shape[1] for i in self.kinds.entities])
            size += EMBEDDING
        self.goals = _goals(sensors, self.kinds, sizes) if settings.goal_conditioning_type == "hyper" else []
        self._stacks: dict[nn.Linear, fast.Stack] = {}  # by head
        self.extra, self.width = extra, hidden
        widths = list(itertools.pairwise([size + extra] + [hidden] * max(settings.num_layers, 1)))
        self.conditioned = None
        if self.goals:
            self.conditioned = GoalLayer(*widths.pop(), goal=sum(goal.stop - goal.start for goal in self.goals))
        self.layers = nn.ModuleList(linear(i, o, 1.0) for i, o in widths)
        count = len(self.layers) + (self.conditioned is not None)
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(count)) if layer_norm else None
        self.memory = Memory(hidden, settings.memory) if remembers and settings.memory is not None else None
        if self.memory is not None:
            self.width = self.memory.width

    @property
    def is_mlp(self) -> bool:
        """Is it only a normalizer and linear layers? Then all that is learnt lies behind `encode`."""
        others = (self.entities, self.conditioned, self.norms, self.memory)
        return not self.images and all(part is None for part in others)

    def features(self, input: PolicyInput, extra: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return (n, width) features and the (n, M) memory afterwards; extra: (n, extra) further inputs, if any."""
        hidden = self.hidden(self.inputs(input, extra))
        return (hidden, input.memory) if self.memory is None else self.memory(hidden, input.memory)

    def forward(self, input: PolicyInput, head: nn.Linear, extra: Tensor | None = None) -> Tensor:
        """Return `head(features)`, (n, outputs of the head).

        The head is walked with the body: one small stack costs half of two.
        """
        if self.memory is not None:
            return head(self.features(input, extra)[0])  # type: ignore[no-any-return]
        x = self.inputs(input, extra)
        if self.conditioned is not None or self.norms is not None or is_traced():
            return self.reference(x, head)
        if type(self).reference is not NetworkBody.reference:
            return self.reference(x, head)
        layers = (*self.layers, head)
        stack = self._stacks.get(head)
        if stack is None or stack.layers != layers:
            stack = self._stacks[head] = fast.Stack(layers)
        return stack(x) if stack.applies(x) else self.reference(x, head)

    def _apply(self, *change: Any, **options: Any) -> NetworkBody:
        self._stacks.clear()  # parameters are about to move to other memory
        return super()._apply(*change, **options)  # type: ignore[no-any-return, no-untyped-call]

    def inputs(self, input: PolicyInput, extra: Tensor | None = None) -> Tensor:
        """Return what the layers get: all sensors and further inputs side by side."""
        x = self.encode(input.obs)
        return x if extra is None else torch.cat([x, extra], 1)

    def encode(self, obs: tuple[Tensor, ...]) -> Tensor:
        """Return all sensors side by side, (n, size)."""
        parts = [self._vectors(obs)] if self.kinds.vectors else []
        parts += [encoder(obs[i]) for i, encoder in zip(self.kinds.images, self.images, strict=True)]
        if self.entities is None:
            return side_by_side(parts)
        known = side_by_side(parts) if parts else obs[0].new_zeros(len(obs[0]), 0)
        return side_by_side([known, self.entities(known, [obs[i] for i in self.kinds.entities])])

    def _vectors(self, obs: tuple[Tensor, ...]) -> Tensor:
        x = self.vectors(obs)
        return x if self.normalizer is None else self.normalizer(x)

    def vectors(self, obs: tuple[Tensor, ...]) -> Tensor:
        """Return all vectors side by side as they were seen, (n, size); there is at least one."""
        return side_by_side([obs[i] for i in self.kinds.vectors])

    def goal(self, x: Tensor) -> Tensor:
        """Return the goals in encoded observations, (n, size); there is at least one."""
        return side_by_side([x[:, goal] for goal in self.goals])

    def reference(self, x: Tensor, head: nn.Linear) -> Tensor:
        """Return the same as `forward` of encoded observations, by autograd alone: on other devices, and in tests."""
        return head(self.hidden(x))  # type: ignore[no-any-return]

    def hidden(self, x: Tensor) -> Tensor:
        """Return (n, hidden units) features of the inputs side by side, before any memory."""
        goal = self.goal(x) if self.goals else x
        for i, layer in enumerate(self.layers):
            x = self._bent(layer(x), i)
        return x if self.conditioned is None else self._bent(self.conditioned(x, goal), len(self.layers))

    def _bent(self, x: Tensor, i: int) -> Tensor:
        """Return what the i-th hidden layer gives, normalized if so, through the swish."""
        return nn.functional.silu(x if self.norms is None else self.norms[i](x))

    def observe(self, obs: tuple[Tensor, ...]) -> None:
        """Let the normalizer see more rows."""
        if self.normalizer is not None:
            self.normalizer.update(self.vectors(obs))


def _goals(sensors: Sequence[ObservationSpec], kinds: Kinds, sizes: dict[int, int]) -> list[slice]:
    """Return which columns of the encoded observations are goals; sizes: of each sensor that is no set, in order."""
    for i in kinds.entities:
        if sensors[i].observation_type == ObservationType.GOAL_SIGNAL:
            raise UnsupportedNetwork(
                f"sensor '{sensors[i].name}' is a goal signal of variable length, which cannot condition a network; "
                "set network_settings.goal_conditioning_type to none"
            )
    stops = itertools.accumulate(sizes.values())
    columns = {i: slice(stop - sizes[i], stop) for i, stop in zip(sizes, stops, strict=True)}
    return [place for i, place in columns.items() if sensors[i].observation_type == ObservationType.GOAL_SIGNAL]
