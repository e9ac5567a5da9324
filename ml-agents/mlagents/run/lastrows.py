"""The rows in which a NaN was met, in a file of a few hundred of them: `python -m mlagents.run.lastrows FILE`."""

from __future__ import annotations

import argparse
import json
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mlagents.errors import RunError
from mlagents.run.atomic import write_atomically
from mlagents_envs.output import command
from mlagents_envs.printable import printable

Array = NDArray[Any]
FILE = "not-finite.npz"
MOST_ROWS = 256
MOST_BYTES = 8 << 20  # of rows: of large images there are fewer, one at least
MOST_WEIGHTS = 32 << 20  # bytes; larger networks are left out
SHOWN = 10  # numbers that are not finite
ABOUT, ROWS, WEIGHTS = "about", "rows/", "weights/"


@dataclass(frozen=True)
class LastRows:
    """n rows, the weights with which something was computed from them, and what was wrong.

    Columns have the names of the tables that trainers learn from, `rows.input.obs.0`, or those of what an environment
    reports, `obs.0`. n is 256 at most.
    """

    about: Mapping[str, Any]
    """`sentence`, `behavior`, `step`, `table`: what the columns are, `of`: how many rows there were."""
    columns: Mapping[str, Array]
    weights: Mapping[str, Array] = field(default_factory=dict)
    """By `module/parameter`; empty where no network was concerned, or a large one."""

    @classmethod
    def read(cls, path: str | Path) -> LastRows:
        """Return what a run wrote; raises RunError, with the reason, for a file that is none."""
        try:
            with np.load(path, allow_pickle=False) as file:
                columns = {name: file[name] for name in file.files}
            about = json.loads(str(columns.pop(ABOUT)))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise RunError(f"{path} is no file of rows that a run wrote: {error}") from error
        return cls(about, _under(ROWS, columns), _under(WEIGHTS, columns))

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all; raises OSError."""
        arrays = {ABOUT: np.array(json.dumps(self.about))}
        arrays |= {f"{ROWS}{name}": column for name, column in self.columns.items()}
        arrays |= {f"{WEIGHTS}{name}": values for name, values in self.weights.items()}

        def save(file: BinaryIO) -> None:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]

        write_atomically(path, save)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def not_finite(self) -> list[tuple[str, tuple[int, ...], float]]:
        """Return the column, the place and the value of every number of the rows that is NaN or infinite."""
        return [
            (name, tuple(at), float(column[tuple(at)]))
            for name, column in self.columns.items() if column.dtype.kind == "f"
            for at in np.argwhere(~np.isfinite(column)).tolist()
        ]  # fmt: skip

    def learn_again(self, trainer: Any) -> None:
        """Give a trainer the weights, and let it learn from the rows once more; raises NotFinite if it is met again.

        trainer: as the run made it, of the same settings and behavior. Raises KeyError for rows of an environment.
        """
        import torch

        state, nested = trainer.state_dict(), dict[str, Any]()
        for name, values in self.weights.items():
            module, _, parameter = name.partition("/")
            if parameter:
                nested.setdefault(module, {})[parameter] = torch.from_numpy(values)
            else:
                nested[module] = torch.from_numpy(values)
        trainer.load_state_dict({**state, **nested})
        columns = {name: torch.from_numpy(column) for name, column in self.columns.items()}
        trainer.learn_again(trainer.rows_of(self.about["table"], columns))

    def __str__(self) -> str:
        """Return the sentence, the columns, and the numbers that are not finite."""
        of, found = self.about["of"], self.not_finite()
        lines = [self.about["sentence"], "", f"{len(self)} of {of} rows, {self.about['table']}:"]
        width = max((len(name) for name in self.columns), default=0)
        lines += [f"  {name:{width}}  {column.dtype} {column.shape}" for name, column in self.columns.items()]
        if self.weights:
            lines += ["", f"{len(self.weights)} tensors of weights, as they were then."]
        lines += ["", f"{len(found) or 'No'} numbers of these rows are NaN or infinite{':' if found else '.'}"]
        lines += [f"  {name}{list(at)} is {value}" for name, at, value in found[:SHOWN]]
        lines += [f"  and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        return "\n".join(lines)


def few(columns: Mapping[str, Array], wrong: Sequence[int] = ()) -> dict[str, Array]:
    """Return columns of n rows cut to what a file holds: the rows that are wrong, and the last ones beside them."""
    n = len(next(iter(columns.values())))
    size = sum(column.nbytes for column in columns.values()) // max(n, 1)
    most = min(n, MOST_ROWS, max(1, MOST_BYTES // max(size, 1)))
    first = list(dict.fromkeys([*wrong, *range(n - 1, -1, -1)]))[:most]
    return {name: column[sorted(first)] for name, column in columns.items()}


def few_weights(state: Mapping[str, Any]) -> dict[str, Array]:
    """Return the networks of a trainer's state by `module/parameter`; none if they are too large for a file."""
    found: dict[str, Array] = {}
    for module, part in state.items():
        tensors = {f"{module}/{name}": tensor for name, tensor in part.items()} if isinstance(part, Mapping) else {
            module: part
        }  # fmt: skip
        if all(hasattr(tensor, "numpy") for tensor in tensors.values()):  # else it is an optimizer, or a counter
            found |= {name: tensor.numpy() for name, tensor in tensors.items()}
    return found if sum(values.nbytes for values in found.values()) <= MOST_WEIGHTS else {}


def _under(prefix: str, columns: Mapping[str, Array]) -> dict[str, Array]:
    return {name.removeprefix(prefix): column for name, column in columns.items() if name.startswith(prefix)}


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Print what a file holds, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m mlagents.run.lastrows", description=__doc__)
    parser.add_argument("file", help=f"RESULTS/BEHAVIOR/{FILE}")
    try:
        rows = LastRows.read(parser.parse_args(argv).file)
    except RunError as error:
        print(printable(str(error)), file=sys.stderr)
        return 2
    print(printable(str(rows), layout=True))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
