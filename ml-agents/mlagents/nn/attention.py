"""Sets of entities, such as a BufferSensor has: as many as there are, in any order. E is the most there can be."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mlagents.nn.layers import is_traced, layer_norm, linear

EMBEDDING = 128  # width of an entity's embedding
HEADS = 4
ABSENT = 0.01  # an entity whose squares sum to less is not there
FORBIDDEN = -1e6  # logit of what is not there
EPSILON = 1e-7  # as Unity's trainers have it; where nobody is there, the mean is 0


class EntityEncoder(nn.Module):
    """Embeds each entity beside the agent's own encoding; they attend to each other, and those present are averaged."""

    def __init__(self, beside: int, sizes: Sequence[int], *, width: int = EMBEDDING, heads: int = HEADS) -> None:
        """beside: size of the agent's own encoding; sizes: of an entity, for each sensor; width: of the embeddings."""
        super().__init__()
        self.width = width
        self.own = _linear(beside, width) if beside else None
        self.entity = nn.ModuleList(_linear(size, width) for size in sizes)
        self.beside = nn.ModuleList(_linear(width, width, bias=False) for _ in sizes if beside)
        self.attention = ResidualSelfAttention(width, heads)

    def forward(self, known: Tensor, entities: Sequence[Tensor]) -> Tensor:
        """Return (n, width); known: (n, beside) of the agent; entities: (n, E, size), zeros where there is none."""
        own = nn.functional.silu(self.own(known)) if self.own is not None else None
        seen, present = zip(*(_trimmed(each) for each in entities), strict=True)
        embedded = []
        for i, each in enumerate(seen):
            x = self.entity[i](each)  # one layer of (agent, entity) in two parts: the agent's is computed once
            embedded.append(nn.functional.silu(x if own is None else x + self.beside[i](own)[:, None]))
        pooled: Tensor = self.attention(torch.cat(embedded, 1), torch.cat(present, 1))
        return pooled


class ResidualSelfAttention(nn.Module):
    """Self-attention over a set, with its input added, averaged. Vaswani et al. 2017, arXiv:1706.03762."""

    def __init__(self, width: int = EMBEDDING, heads: int = HEADS) -> None:
        super().__init__()
        self.width, self.heads = width, heads
        self.query, self.key, self.value, self.out = (_linear(width, width) for _ in range(4))

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Return (n, width); x: (n, E, width), present: (n, E) bool."""
        x = layer_norm(x)
        y = self.out(attend(self.query(x), self.key(x), self.value(x), present, heads=self.heads)) + x
        weight = present.to(x.dtype)
        return torch.einsum("ne,neh->nh", weight, layer_norm(y)) / (weight.sum(1, keepdim=True) + EPSILON)


def attend(query: Tensor, key: Tensor, value: Tensor, present: Tensor, *, heads: int) -> Tensor:
    """Return (n, E, size) what each sees of all that are present; query, key, value: (n, E, size), present: (n, E)."""
    size = query.shape[2]
    query, key, value = (x.view(*x.shape[:2], heads, size // heads).transpose(1, 2) for x in (query, key, value))
    logits = query @ key.transpose(2, 3) / math.sqrt(size)  # of the whole size, as Unity's trainers; else of a head's
    share = torch.softmax(torch.where(present[:, None, None], logits, FORBIDDEN), 3)
    return (share @ value).transpose(1, 2).flatten(2)


def are_present(entities: Tensor) -> Tensor:
    """Return (n, E) bool, which of (n, E, size) entities are there."""
    return entities.square().sum(2) >= ABSENT


def _trimmed(entities: Tensor) -> tuple[Tensor, Tensor]:
    """Return entities without the places that no row uses, and which are there: nobody looks at those places anyway."""
    present = are_present(entities)
    if is_traced():
        return entities, present
    used = present.any(0)
    return (entities, present) if used.all() else (entities[:, used], present[:, used])


def _linear(inputs: int, width: int, *, bias: bool = True) -> nn.Linear:
    """Return a layer with weights of deviation sqrt(0.125 / width), whatever its inputs."""
    layer = linear(inputs, width, math.sqrt(0.125 / width * inputs))
    if not bias:
        layer.register_parameter("bias", None)
    return layer
