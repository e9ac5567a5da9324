"""A Unity build, or the Editor, as an environment to train in: its side channels made into columns and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlagents.envs.pool import Stat
from mlagents_envs.environment import UnityEnvironment
from mlagents_envs.side_channel.engine_configuration_channel import EngineConfigurationChannel
from mlagents_envs.side_channel.environment_parameters_channel import EnvironmentParametersChannel
from mlagents_envs.side_channel.stats_side_channel import StatsSideChannel


@dataclass(frozen=True)
class UnityMaker:
    """How players are started. It travels to the processes of the workers, each of which makes one."""

    path: str | None  # None: the Editor is waited for
    engine: Mapping[str, Any]  # settings of the engine, by the names of EngineConfigurationChannel
    arguments: Sequence[str] = ()
    seed: int = 0
    base_port: int | None = None  # None: the next free port
    patience: int = 60  # seconds
    no_graphics: bool = False
    no_graphics_monitor: bool = False
    num_areas: int = 1
    log_folder: str | None = None
    listen: str = UnityEnvironment.LISTEN_ADDRESS
    limit: int = UnityEnvironment.MESSAGE_LIMIT  # bytes of a message

    def __call__(self, worker: int) -> TrainingEnvironment:
        """Return the environment of a worker; raises a UnityException."""
        return TrainingEnvironment(self, worker)


class TrainingEnvironment(UnityEnvironment):
    """A `UnityEnvironment` that takes environment parameters and gives the numbers that the scene records."""

    REFUSES_NAN = False  # what becomes of such rows is for the run to decide

    def __init__(self, maker: UnityMaker, worker: int) -> None:
        self.LISTEN_ADDRESS = maker.listen
        self.MESSAGE_LIMIT = maker.limit
        self._engine = EngineConfigurationChannel()
        self._parameters = EnvironmentParametersChannel()
        self._stats = StatsSideChannel()
        self._engine.set_configuration_parameters(**maker.engine)
        super().__init__(
            maker.path, worker, maker.base_port, maker.seed + worker, maker.no_graphics, maker.no_graphics_monitor,
            maker.patience, list(maker.arguments), [self._engine, self._parameters, self._stats], maker.log_folder,
            maker.num_areas,
        )  # fmt: skip

    def set_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Send numbers and samplers with the next reset or step."""
        self._parameters.set_parameters(parameters)

    def stats(self) -> Sequence[Stat]:
        """Return what the scene has recorded since the last call."""
        recorded = self._stats.get_and_reset_stats()
        return [(name, value, method.value) for name, values in recorded.items() for value, method in values]
