"""What a url or a path means."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urljoin, urlsplit
from urllib.request import url2pathname

from mlagents_envs.exception import UnityEnvironmentException


def is_remote(location: str) -> bool:
    """Is it an http or https url?"""
    return location.startswith(("http://", "https://"))


def local_path(location: str) -> Path:
    """Return where a path or a file url leads; other urls raise UnityEnvironmentException."""
    if location.startswith("file:"):
        return Path(url2pathname(urlsplit(location).path))
    if "://" in location:
        raise UnityEnvironmentException(f"{location}: no such kind of url is known; give http, https, file or a path")
    return Path(location).expanduser()


def beside(manifest: str, url: str) -> str:
    """Return what a url inside a manifest means: relative ones begin where the manifest lies."""
    if is_remote(manifest):
        return urljoin(manifest, url)
    if url.startswith("file:") or "://" in url:
        return url
    return str(local_path(manifest).parent / local_path(url))
