"""What Unity's importers of ONNX models cannot read: a file that onnxruntime plays may still be refused in Unity.

Sentis, from its first release to 2.5, documents opsets 7 to 15 and lacks the operators below.
"""

from __future__ import annotations

import onnx

OPSETS = range(9, 16)  # that we write: Unity's own files have 9, and the documented ones end at 15
MISSING = frozenset({
    "GRU", "RNN", "If", "Loop", "Scan", "GroupNormalization", "Unique", "EyeLike", "ReverseSequence",
    "MeanVarianceNormalization", "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv",
    "QLinearMatMul", "ConvInteger", "MatMulInteger",
})  # fmt: skip
STANDARD = ("", "ai.onnx")  # domains


def unreadable(model: onnx.ModelProto) -> list[str]:
    """Return what Unity cannot read in a model, each thing as a phrase; empty if there is nothing."""
    opsets = [opset.version for opset in model.opset_import if opset.domain in STANDARD]
    found = [f"opset {opset}, where it documents 7 to 15" for opset in opsets if not 7 <= opset <= OPSETS[-1]]
    nodes = [node for node in model.graph.node if node.op_type in MISSING or node.domain not in STANDARD]
    kinds = dict.fromkeys(f"{node.domain}.{node.op_type}".removeprefix(".") for node in nodes)
    return [*found, *(f"the operator {kind}" for kind in kinds)]
