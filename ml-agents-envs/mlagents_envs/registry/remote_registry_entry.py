"""Builds of an environment, one per platform, that are fetched when the environment is made."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlagents_envs.base_env import BaseEnv
from mlagents_envs.registry.base_registry_entry import BaseRegistryEntry
from mlagents_envs.registry.binary_utils import get_local_binary_path


class RemoteRegistryEntry(BaseRegistryEntry):
    """An environment whose builds have urls.

    A url is http, https or file, or a path; a path may also lead to a player or its folder instead of a zip archive.
    """

    def __init__(
        self, identifier: str, expected_reward: float | None, description: str | None, linux_url: str | None,
        darwin_url: str | None, win_url: str | None, additional_args: Sequence[str] | None = None,
        tmp_dir: str | Path | None = None,
    ) -> None:  # fmt: skip
        """additional_args: for the player, after those of `make`. tmp_dir: where archives are kept unpacked."""
        super().__init__(identifier, expected_reward, description)
        self._urls = {"linux": linux_url, "darwin": darwin_url, "win32": win_url}
        self._additional_args = list(additional_args or ())
        self._tmp_dir = tmp_dir

    def make(self, **kwargs: Any) -> BaseEnv:
        """Fetch the build for this platform, unless it was fetched before, and start it.

        kwargs are those of `UnityEnvironment`; a file_name is ignored. Raises FileNotFoundError if there is no build
        for this platform, or no player in it, UnityEnvironmentException if it cannot be fetched.
        """
        from mlagents_envs.environment import UnityEnvironment  # here, because a registry is also read without players

        kwargs.pop("file_name", None)
        arguments = [*(kwargs.pop("additional_args", None) or ()), *self._additional_args]
        player = get_local_binary_path(self.identifier, self._url(), tmp_dir=self._tmp_dir)
        return UnityEnvironment(file_name=player, additional_args=arguments, **kwargs)

    def _url(self) -> str:
        url = self._urls.get(sys.platform)
        if not url:
            others = ", ".join(platform for platform, url in self._urls.items() if url) or "no platform"
            raise FileNotFoundError(
                f"{self.identifier}: there is no build for {sys.platform}, only for {others}; "
                "register an entry that names one"
            )
        return url
