"""Tables of tensors: frozen dataclasses whose columns share their first axis."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, get_origin, get_type_hints

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
    def from_columns(cls, columns: Mapping[str, Tensor], prefix: str = "") -> Self:
        """Return the table with these columns, named as by `named_columns`; raises KeyError for one that is missing."""
        kinds = get_type_hints(cls)
        return cls(**{name: _from_columns(kinds[name], columns, f"{prefix}{name}") for name in cls._names()})

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


def copied(state: Any) -> Any:
    """Return a copy of tensors in plain containers, on the CPU."""
    if isinstance(state, Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, Mapping):
        return {key: copied(value) for key, value in state.items()}
    return type(state)(copied(value) for value in state) if type(state) in (list, tuple) else state


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


def _from_columns(kind: Any, columns: Mapping[str, Tensor], name: str) -> Any:
    if isinstance(kind, type) and issubclass(kind, Rows):
        return kind.from_columns(columns, f"{name}.")
    if get_origin(kind) is tuple:
        entries = sum(column.startswith(f"{name}.") for column in columns)
        return tuple(columns[f"{name}.{i}"] for i in range(entries))
    return columns[name]


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
