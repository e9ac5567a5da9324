"""Images of a replay buffer, each kept once: rows hold its number, and what one row saw next is what another saw first.

n is a number of rows. Images of several sensors of one observation have the same number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from mlagents.data.experience import PolicyInput

BLOCK = 1 << 26  # bytes that are taken at once
MOST = 4096  # images of a block
Exchange = Callable[[PolicyInput], PolicyInput]
RANK = 4  # axes of a column of images: rows, channels, height, width


class Frames:
    """Exchanges the images of observations for numbers, and back; counts who uses each, and forgets what nobody does.

    In an exchanged observation, the column of a sensor that sees images is (n,) int64.
    """

    def __init__(self) -> None:
        self._stores: dict[int, ImageStore] = {}  # by sensor; known with the first observation
        self._uses = torch.zeros(0, dtype=torch.int64)  # (numbers,) how often each is in use
        self._free = torch.zeros(0, dtype=torch.int64)  # numbers in use nowhere, the next to be taken first

    def put(self, input: PolicyInput) -> PolicyInput:
        """Keep the images of n rows, each in use once; return the rows with numbers in their place."""
        sensors = [i for i, column in enumerate(input.obs) if column.dim() == RANK]
        if not sensors:
            return input
        if self.empty:
            size = max(_bytes(input.obs[i]) for i in sensors)
            block = max(min(BLOCK // max(size, 1), MOST), 1)
            self._stores = {i: ImageStore(input.obs[i], block) for i in sensors}
            self._uses, self._free = (column.to(input.mask.device) for column in (self._uses, self._free))
        numbers = self._take(len(input.mask))
        for i, store in self._stores.items():
            store.write(numbers, input.obs[i])
        return self._exchanged(input, dict.fromkeys(sensors, numbers))

    def images(self, input: PolicyInput) -> PolicyInput:
        """Return exchanged rows with their images."""
        if self.empty:
            return input
        return self._exchanged(input, {i: store.read(input.obs[i]) for i, store in self._stores.items()})

    def share(self, input: PolicyInput) -> None:
        """Count one more use of the images of exchanged rows."""
        self._count(input, 1)

    def drop(self, input: PolicyInput) -> None:
        """Count one use less; images without any are forgotten."""
        if (numbers := self._count(input, -1)) is not None:
            unused = torch.unique(numbers[self._uses[numbers] == 0])
            self._free = torch.cat([unused, self._free])

    @property
    def used(self) -> int:
        """How many observations with images are kept."""
        return len(self._uses) - len(self._free)

    @property
    def nbytes(self) -> int:
        """Bytes that images and their counts take, with the room for those to come."""
        return sum(store.nbytes for store in self._stores.values()) + _bytes(self._uses) + _bytes(self._free)

    @property
    def empty(self) -> bool:
        """Has no image come yet?"""
        return not self._stores

    def state_dict(self, *inputs: PolicyInput) -> tuple[dict[str, Any], Exchange]:
        """Return the images of exchanged rows once, by sensor, and what gives such rows numbers that count them."""
        if self.empty:
            return {}, lambda input: input
        sensor = next(iter(self._stores))
        numbers = _distinct(torch.cat([input.obs[sensor] for input in inputs]))
        counted = torch.empty_like(self._uses)
        counted[numbers] = torch.arange(len(numbers), device=numbers.device)
        state = {str(i): store.state_dict(numbers) for i, store in self._stores.items()}
        return state, lambda input: self._exchanged(input, dict.fromkeys(self._stores, counted[input.obs[sensor]]))

    def load_state_dict(self, state: Mapping[str, Any], like: PolicyInput) -> Exchange:
        """Take the images that `state_dict` gave; return what gives rows their numbers, and counts each as a use.

        like: rows of the state.
        """
        if not state:
            return lambda input: input
        obs = {int(i): part["images"] for i, part in state.items()}
        sensors, n = len(like.obs), len(next(iter(obs.values())))
        none = like.mask.new_zeros((n, 0))
        kept = self.put(PolicyInput(tuple(obs.get(i, none) for i in range(sensors)), none, none))
        self._uses[kept.obs[min(obs)]] = 0  # until rows come
        for i, store in self._stores.items():
            store.as_float |= state[str(i)]["as_float"]

        def numbered(input: PolicyInput) -> PolicyInput:
            found = self._exchanged(input, {i: kept.obs[i][input.obs[i]] for i in obs})
            self.share(found)
            return found

        return numbered

    def _take(self, n: int) -> Tensor:
        """Return (n,) numbers that nobody uses, in use once from now on."""
        while len(self._free) < n:
            block = next(iter(self._stores.values())).block
            more = torch.arange(len(self._uses), len(self._uses) + block, device=self._uses.device)
            self._free, self._uses = torch.cat([self._free, more]), torch.cat([self._uses, torch.zeros_like(more)])
            for store in self._stores.values():
                store.grow()
        numbers, self._free = self._free[:n], self._free[n:]
        self._uses[numbers] = 1
        return numbers

    def _count(self, input: PolicyInput, change: int) -> Tensor | None:
        """Change how often the images of rows are in use; return their numbers, None where there are no images."""
        if self.empty:
            return None
        numbers = input.obs[next(iter(self._stores))]
        self._uses.index_add_(0, numbers, torch.full_like(numbers, change))
        return numbers

    @staticmethod
    def _exchanged(input: PolicyInput, columns: Mapping[int, Tensor]) -> PolicyInput:
        return replace(input, obs=tuple(columns.get(i, column) for i, column in enumerate(input.obs)))


class ImageStore:
    """Images of one sensor by number, as bytes while every value of all of them is k / 255."""

    def __init__(self, like: Tensor, block: int) -> None:
        """like: (n, channels, height, width), images as they will come; block: how many `grow` makes room for."""
        self.block = block
        self.as_float = False
        """Do images come out as float32? Bytes do only if nothing but bytes came in."""
        self._device, self._shape = like.device, like.shape[1:]
        self._dtype = torch.uint8
        self._blocks: list[Tensor] = []  # (block, channels, height, width) each

    def grow(self) -> None:
        """Make room for `block` more images; the machine gives memory as they are written."""
        self._blocks.append(torch.empty((self.block, *self._shape), dtype=self._dtype, device=self._device))

    def write(self, numbers: Tensor, images: Tensor) -> None:
        """Keep (n, channels, height, width) images under (n,) numbers, float32 or bytes that mean parts of 255."""
        self.as_float = self.as_float or images.dtype != torch.uint8
        if images.dtype != torch.uint8 and self._dtype == torch.uint8:
            if (found := as_bytes(images)) is None:
                self._dtype = torch.float32
                self._blocks = [as_floats(block) for block in self._blocks]
            else:
                images = found
        elif images.dtype == torch.uint8 and self._dtype != torch.uint8:
            images = as_floats(images)
        for block, rows, places in self._parts(numbers):
            block.index_copy_(0, places, images if rows is None else images[rows])

    def read(self, numbers: Tensor) -> Tensor:
        """Return the (n, channels, height, width) images of (n,) numbers, as they came."""
        images = self._gathered(numbers)
        return as_floats(images) if self.as_float and self._dtype == torch.uint8 else images

    def state_dict(self, numbers: Tensor) -> dict[str, Any]:
        """Return the images of (m,) numbers as they are kept, and how they come out."""
        return {"images": self._gathered(numbers), "as_float": self.as_float}

    @property
    def nbytes(self) -> int:
        """Bytes that there is room for."""
        return sum(map(_bytes, self._blocks))

    def _gathered(self, numbers: Tensor) -> Tensor:
        images = torch.empty((len(numbers), *self._shape), dtype=self._dtype, device=self._device)
        for block, rows, places in self._parts(numbers):
            if rows is None:
                return block.index_select(0, places)
            images.index_copy_(0, rows, block.index_select(0, places))
        return images

    def _parts(self, numbers: Tensor) -> list[tuple[Tensor, Tensor | None, Tensor]]:
        """Return each block that numbers lie in, the rows of those numbers (None: all rows), and their places there."""
        if len(self._blocks) == 1:
            return [(self._blocks[0], None, numbers)]
        which = numbers // self.block
        rows = [(i, torch.nonzero(which == i)[:, 0]) for i in torch.unique(which).tolist()]
        return [(self._blocks[i], at, numbers[at] - i * self.block) for i, at in rows]


def as_bytes(images: Tensor) -> Tensor | None:
    """Return float images as bytes, if each value is k / 255 for a k of 0 to 255; None if one is not."""
    found = (images * 255).round_().to(torch.uint8)
    return found if torch.equal(as_floats(found), images) else None


def as_floats(images: Tensor) -> Tensor:
    """Return bytes as parts of 255, float32."""
    floats: Tensor = images.to(torch.float32).div_(255)
    return floats


def _distinct(numbers: Tensor) -> Tensor:
    """Return each number once, in the order in which they occur first."""
    distinct, which = torch.unique(numbers, return_inverse=True)
    first = torch.full_like(distinct, len(numbers))
    first.scatter_reduce_(0, which, torch.arange(len(numbers), device=numbers.device), "amin")
    ordered: Tensor = distinct[torch.argsort(first)]
    return ordered


def _bytes(column: Tensor) -> int:
    return column.numel() * column.element_size()
