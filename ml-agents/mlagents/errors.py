"""What can end a run.

RunError
├── ResultsError      the results folder does not fit what was asked (the user's mistake)
├── CheckpointError   a checkpoint is missing, unreadable, or of another network
│   └── NonFiniteError    what would be saved is NaN or infinite
└── ExportError       the policy cannot be written as ONNX
"""

from __future__ import annotations


class RunError(Exception):
    """A run cannot begin or go on; the text is a sentence for the user."""


class ResultsError(RunError):
    """The results folder does not fit what was asked."""


class CheckpointError(RunError):
    """A checkpoint is missing, unreadable, or of another network."""


class NonFiniteError(CheckpointError):
    """What would be saved holds NaN or infinite numbers."""


class ExportError(RunError):
    """The policy cannot be written as ONNX."""
