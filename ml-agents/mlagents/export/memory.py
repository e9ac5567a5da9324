"""The recurrent cell as nodes of an ONNX graph, one step of it, in operators that Unity's importer has.

It reads no GRU, and computes an LSTM of its own on some backends only.
"""

from __future__ import annotations

from torch import nn

from mlagents.export.graph import Graph, numbers
from mlagents.nn.memory import Memory


def write_memory(graph: Graph, memory: Memory, features: str) -> tuple[str, str]:
    """Write `Memory.forward`; return the names of the (n, width) features and of the (n, M) memory afterwards."""
    before = graph.reshape(graph.input("recurrent_in", (1, memory.size)), -1, memory.size)
    if isinstance(memory.cell, nn.GRUCell):
        hidden = _gru(graph, memory.cell, features, before)
        return hidden, hidden
    hidden, state = _lstm(graph, memory.cell, features, before)
    return hidden, graph.concat([hidden, state])


def _lstm(graph: Graph, cell: nn.LSTMCell, x: str, before: str) -> tuple[str, str]:
    """Write c' = s(f) c + s(i) tanh(g) and h' = s(o) tanh(c'); return the names of both, h' first."""
    width = cell.hidden_size
    hidden, state = graph.slice(before, 0, width), graph.slice(before, width, 2 * width)
    gates = graph.add("Add", [_gates(graph, cell, "ih", x), _gates(graph, cell, "hh", hidden)])
    parts = [graph.slice(gates, i * width, (i + 1) * width) for i in range(4)]
    enter, forget, leave = (graph.add("Sigmoid", [parts[i]]) for i in (0, 1, 3))
    entering = graph.add("Mul", [enter, graph.add("Tanh", [parts[2]])])
    state = graph.add("Add", [graph.add("Mul", [forget, state]), entering])
    return graph.add("Mul", [leave, graph.add("Tanh", [state])]), state


def _gru(graph: Graph, cell: nn.GRUCell, x: str, hidden: str) -> str:
    """Write h' = n + s(z) (h - n) with n = tanh(W x + s(r) (U h)); return its name."""
    width = cell.hidden_size
    inside, recurrent = _gates(graph, cell, "ih", x), _gates(graph, cell, "hh", hidden)
    both = graph.add("Add", [graph.slice(part, 0, 2 * width) for part in (inside, recurrent)])
    gates = graph.add("Sigmoid", [both])
    reset, update = graph.slice(gates, 0, width), graph.slice(gates, width, 2 * width)
    new, old = (graph.slice(part, 2 * width, 3 * width) for part in (inside, recurrent))
    candidate = graph.add("Tanh", [graph.add("Add", [new, graph.add("Mul", [reset, old])])])
    return graph.add("Add", [candidate, graph.add("Mul", [update, graph.add("Sub", [hidden, candidate])])])


def _gates(graph: Graph, cell: nn.RNNCellBase, which: str, x: str) -> str:
    """Write one of the two linear layers of a cell."""
    weight, bias = (numbers(cell.get_parameter(f"{kind}_{which}")) for kind in ("weight", "bias"))
    return graph.gemm(f"memory_{which}", x, weight, bias)
