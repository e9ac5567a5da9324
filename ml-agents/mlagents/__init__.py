"""Trainers of Unity ML-Agents. Light: nothing is loaded until it is used."""

__version__ = "2.0.0.dev0"
