"""The learning curves of a run as a table in memory: one row a summary, one column a tag."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlagents.run.recorder import StatsSummary
from mlagents_envs.names import nearest

if TYPE_CHECKING:
    import pandas

BEHAVIOR, STEP = "behavior", "step"  # the first two columns
Row = tuple[str, int, dict[str, float]]  # behavior, step, numbers by tag


class MetricsTable(Mapping[str, NDArray[Any]]):
    """Columns of m summaries by name: `behavior`, `step`, then the tags that TensorBoard shows.

    A number that was not recorded at a summary is NaN there. The table is a stats writer too, which fills it.
    """

    summaries_only = True

    def __init__(self, rows: list[Row] | None = None) -> None:
        self._rows = [] if rows is None else rows

    def write_stats(self, category: str, values: Mapping[str, StatsSummary], step: int) -> None:
        """Add a row."""
        self._rows.append((category, step, {name: summary.aggregated_value for name, summary in values.items()}))

    def of(self, behavior: str) -> MetricsTable:
        """Return the rows of one behavior; none for one that is not there."""
        return MetricsTable([row for row in self._rows if row[0] == behavior])

    def frame(self) -> pandas.DataFrame:
        """Return the table as a DataFrame; raises ImportError, with the way out, where pandas is not installed."""
        try:
            import pandas
        except ModuleNotFoundError as error:
            raise ImportError("a DataFrame needs pandas: pip install pandas, or take columns by their names") from error
        return pandas.DataFrame(dict(self))

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return a column, (m,); raises KeyError with the near name."""
        if name == BEHAVIOR:
            return np.array([behavior for behavior, _, _ in self._rows], dtype=object)
        if name == STEP:
            return np.array([step for _, step, _ in self._rows], dtype=np.int64)
        if not any(name in values for _, _, values in self._rows):
            near = nearest(name, list(self))
            guess = f"; did you mean '{near[0]}'?" if near else f". Known: {', '.join(self)}"
            raise KeyError(f"'{name}' was never recorded{guess}")
        return np.array([values.get(name, np.nan) for _, _, values in self._rows])

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([BEHAVIOR, STEP, *(name for _, _, values in self._rows for name in values)]))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<MetricsTable: {len(self._rows)} summaries of {len(self) - 2} numbers>"
