"""What an agent remembers: one recurrent cell behind the layers of a body. M is the size of its memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mlagents.nn.settings import MemorySettings

FORGET_BIAS = 1.0  # in both bias vectors of an LSTM, so that it remembers to begin with


class Step(NamedTuple):
    """One row of each of m sequences."""

    rows: Tensor  # (m,) int64, their numbers
    before: Tensor  # (m, M) memory
    features: Tensor  # (m, width)
    after: Tensor  # (m, M) memory


class Memory(nn.Module):
    """An LSTM (Hochreiter & Schmidhuber 1997) or a GRU (Cho et al. 2014, arXiv:1406.1078), stepped one row at a time.

    The memory of an LSTM is its hidden state, then its cell state, each M / 2; that of a GRU is its hidden state.
    """

    def __init__(self, inputs: int, settings: MemorySettings) -> None:
        super().__init__()
        self.size = settings.memory_size
        self.cell: nn.LSTMCell | nn.GRUCell
        if settings.memory_type == "lstm":
            self.width = self.size // 2
            self.cell = nn.LSTMCell(inputs, self.width)
        else:
            self.width = self.size
            self.cell = nn.GRUCell(inputs, self.width)
        _initialize(self.cell, self.width)

    def forward(self, x: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Return (n, width) features and the (n, M) memory afterwards, of (n, inputs) and the (n, M) memory before."""
        if isinstance(self.cell, nn.GRUCell):
            hidden: Tensor = self.cell(x, memory)
            return hidden, hidden
        hidden, state = self.cell(x, (memory[:, : self.width], memory[:, self.width :]))
        return hidden, torch.cat([hidden, state], 1)

    def walk(self, x: Tensor, memory: Tensor, steps: Sequence[Tensor]) -> Iterator[Step]:
        """Yield what comes of (n, inputs) rows along sequences; the loop turns as often as the longest has rows.

        steps: as of `steps_of`; memory: (sequences, M) where each begins, in the order of the first of these.
        """
        for rows in steps:
            before = memory[: len(rows)]
            features, memory = self(x[rows], before)
            yield Step(rows, before, features, memory)


@torch.no_grad()
def _initialize(cell: nn.LSTMCell | nn.GRUCell, width: int) -> None:
    """Draw each gate's weights by Xavier; biases are 0, but for those of an LSTM's forget gate."""
    for weight in (cell.weight_ih, cell.weight_hh):
        for gate in torch.split_with_sizes(weight, [width] * (len(weight) // width)):
            nn.init.xavier_uniform_(gate)
    for bias in (cell.bias_ih, cell.bias_hh):
        bias.zero_()
        if isinstance(cell, nn.LSTMCell):
            bias[width : 2 * width] = FORGET_BIAS
