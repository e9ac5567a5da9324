"""VisualFoodCollector is shown as FoodCollector is."""

from __future__ import annotations

from mlagents_envs.examples.look.foodcollector import LOOK

__all__ = ["LOOK"]
