"""Visual3DBall is shown as 3DBall is."""

from __future__ import annotations

from mlagents_envs.examples.look.ball3d import LOOK

__all__ = ["LOOK"]
