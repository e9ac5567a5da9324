"""Tables of tensors: frozen dataclasses whose columns share their first axis."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor
from typing_extensions import Self


class Rows:
    """A table. Every field is a tensor, a tuple of tensors, or another table, all n rows long.

    >>> batch[3:7]; batch[mask]; batch.map(lambda column: column.to("cuda")); Rows.concat([a, b])
    """

    __slots__ = ()

    def map(self, change: Callable[[Tensor], Tensor]) -> Self:
        """Return the same table with `change` done to each column."""
        return type(self)(**{name: _map(change, getattr(self, name)) for name in self._names()})

    def columns(self) -> Iterator[Tensor]:
        """Yield every tensor of the table, in the order in which the columns are declared."""
        for name in self._names():
            yield from _leaves(getattr(self, name))

    def named_columns(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        """Yield every tensor with its name: `input.obs.0` is the first entry of a tuple in a table in this one."""
        for name in self._names():
            yield from _named(f"{prefix}{name}", getattr(self, name))

    def with_columns(self, columns: Mapping[str, Tensor]) -> Self:
        """Return a table with these columns, by name; raises KeyError for one that is missing."""
        found = iter([columns[name] for name, _ in self.named_columns()])
        return self.map(lambda _: next(found))

    @classmethod
    def _names(cls) -> tuple[str, ...]:
        names = _NAMES.get(cls)
        if names is None:
            names = _NAMES[cls] = tuple(column.name for column in fields(cls))  # type: ignore[arg-type]  # a dataclass
        return names

    def __len__(self) -> int:
        return len(next(self.columns()))

    def __getitem__(self, rows: Any) -> Self:
        return self.map(lambda column: column[rows])

    def __setitem__(self, rows: Any, other: Self) -> None:
        for mine, theirs in zip(self.columns(), other.columns(), strict=True):
            mine[rows] = theirs

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """Return one table of all rows of `parts`, in order; at least one part."""
        return cls(**{name: _concat([getattr(part, name) for part in parts]) for name in cls._names()})

    def blank(self, n: int) -> Self:
        """Return a table of n rows of zeros with the same columns."""
        return self.map(lambda column: column.new_zeros((n, *column.shape[1:])))


_NAMES: dict[type, tuple[str, ...]] = {}  # what `fields` would say, without its cost at each tick


def _map(change: Callable[[Tensor], Tensor], value: Any) -> Any:
    if isinstance(value, Rows):
        return value.map(change)
    return tuple(_map(change, part) for part in value) if isinstance(value, tuple) else change(value)


def _named(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Rows):
        yield from value.named_columns(f"{name}.")
    elif isinstance(value, tuple):
        for i, part in enumerate(value):
            yield from _named(f"{name}.{i}", part)
    else:
        yield name, value


def _concat(values: list[Any]) -> Any:
    first = values[0]
    if isinstance(first, Rows):
        return type(first).concat(values)
    if isinstance(first, tuple):
        return tuple(_concat(list(column)) for column in zip(*values, strict=True))
    return torch.cat(values)


def _leaves(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Rows):
        yield from value.columns()
    elif isinstance(value, tuple):
        for part in value:
            yield from _leaves(part)
    else:
        yield value
