"""Trainers as plug-ins: examples to begin one's own from."""
