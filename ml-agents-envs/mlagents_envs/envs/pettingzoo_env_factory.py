"""Makes an environment of the registry with PettingZoo's face."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mlagents_envs.exception import UnityWorkerInUseException

if TYPE_CHECKING:
    from mlagents_envs.base_env import BaseEnv
    from mlagents_envs.envs.unity_aec_env import UnityAECEnv

FIRST_PORT = 6000  # beyond those of training, so that both can run side by side


class PettingZooEnvFactory:
    """One environment of the registry."""

    def __init__(self, env_id: str) -> None:
        self.env_id = env_id

    def env(self, seed: int | None = None, **kwargs: Any) -> UnityAECEnv:
        """Start the environment; kwargs are those of `UnityEnvironment`.

        Without `side_channels`, there are channels for the engine, the environment parameters and statistics. Without
        `base_port`, the first free port from 6000 on is taken. Raises what the registry raises, KeyError for an
        unknown id.
        """
        from mlagents_envs.envs.unity_aec_env import UnityAECEnv
        from mlagents_envs.registry import default_registry

        entry = default_registry[self.env_id]
        if kwargs.get("side_channels") is None:
            kwargs["side_channels"] = _side_channels()
        if seed is not None:
            kwargs["seed"] = seed
        env = entry.make(**kwargs) if kwargs.get("base_port") is not None else _on_a_free_port(entry, kwargs)
        return UnityAECEnv(env, seed)


def _on_a_free_port(entry: Any, kwargs: dict[str, Any]) -> BaseEnv:
    port = FIRST_PORT - 1
    while True:
        port += 1
        with suppress(UnityWorkerInUseException):
            env: BaseEnv = entry.make(**{**kwargs, "base_port": port})
            return env


def _side_channels() -> list[Any]:
    from mlagents_envs.side_channel.engine_configuration_channel import EngineConfigurationChannel
    from mlagents_envs.side_channel.environment_parameters_channel import EnvironmentParametersChannel
    from mlagents_envs.side_channel.stats_side_channel import StatsSideChannel

    return [EngineConfigurationChannel(), EnvironmentParametersChannel(), StatsSideChannel()]
