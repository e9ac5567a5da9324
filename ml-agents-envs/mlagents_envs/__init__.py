"""Environments of Unity ML-Agents from Python."""

__version__ = "2.0.0.dev0"
