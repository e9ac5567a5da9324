"""Example environments of this package as entries of a registry."""

from __future__ import annotations

from typing import Any

from mlagents_envs.base_env import BaseEnv
from mlagents_envs.examples import catalog
from mlagents_envs.names import nearest
from mlagents_envs.registry.base_registry_entry import BaseRegistryEntry

BENCHMARKS = {  # mean rewards that Unity's documentation calls solved
    "Basic": 0.93, "3DBall": 100.0, "3DBallHard": 100.0, "Visual3DBall": 100.0, "GridWorld": 0.8, "PushBlock": 4.5,
    "WallJump": 0.8, "Crawler": 3000.0, "Worm": 800.0, "Walker": 2500.0, "FoodCollector": 10.0, "Hallway": 0.7,
    "Pyramids": 1.75, "PushBlockCollab": 11.0, "DungeonEscape": 1.0,
}  # fmt: skip
FOR_PLAYERS = (
    "file_name", "worker_id", "base_port", "no_graphics", "no_graphics_monitor", "timeout_wait", "additional_args",
    "side_channels", "log_folder",
)  # fmt: skip


class BuiltinRegistryEntry(BaseRegistryEntry):
    """An example environment: it runs in this process, without a player."""

    def __init__(self, identifier: str) -> None:
        super().__init__(identifier, BENCHMARKS.get(identifier), f"Unity's example {identifier}, in this process")

    def make(self, *, seed: int = 0, num_areas: int | None = None, **for_players: Any) -> BaseEnv:
        """Return the example with this many areas, as many as Unity's scene has if None.

        Arguments for players only are ignored: file_name, worker_id, base_port, no_graphics,
        no_graphics_monitor, timeout_wait, additional_args, side_channels and log_folder. Other arguments raise
        TypeError. Environment parameters are set with `set_parameters` of the example.
        """
        for name in for_players:
            if name not in FOR_PLAYERS:
                near = nearest(name, ("seed", "num_areas", *FOR_PLAYERS))
                guess = f"did you mean '{near[0]}'?" if near else "an example takes seed and num_areas"
                raise TypeError(f"{self.identifier}: make() has no argument '{name}'; {guess}")
        return catalog.make(self.identifier, areas=num_areas, seed=seed)
