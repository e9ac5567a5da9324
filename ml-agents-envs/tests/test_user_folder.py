"""What is kept between runs lies where no other user could put something."""

import os
import sys
from pathlib import Path

import pytest

from mlagents_envs import user_folder
from mlagents_envs.exception import UnityEnvironmentException
from mlagents_envs.user_folder import cache_path, private_cache

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")


@pytest.fixture
def caches(tmp_path, monkeypatch):
    """The folder of all caches of this user."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    return tmp_path / "caches"


def test_a_new_folder_is_for_this_user_alone_and_found_again(caches):
    folder = private_cache("numba")
    assert folder == caches / "mlagents" / "numba" == private_cache("numba")
    assert {place.stat().st_mode & 0o777 for place in (folder, folder.parent)} == {0o700}


@pytest.mark.parametrize("which", ["mlagents", "mlagents/numba"])
@pytest.mark.parametrize("mode", [0o777, 0o775, 0o702])
def test_a_folder_that_others_can_write_to_is_refused(caches, which, mode):
    private_cache("numba")
    (caches / which).chmod(mode)
    with pytest.raises(UnityEnvironmentException, match=rf"others can write to .*{which}; run: chmod 700"):
        private_cache("numba")


@pytest.mark.parametrize("which", ["mlagents", "mlagents/numba"])
def test_a_link_and_a_file_in_its_place_are_refused(caches, tmp_path, which):
    target = tmp_path / "elsewhere"
    target.mkdir()
    (caches / which).parent.mkdir(parents=True, mode=0o700)
    (caches / which).symlink_to(target)
    with pytest.raises(UnityEnvironmentException, match=f"{which} is a link or no folder"):
        private_cache("numba")
    assert list(target.iterdir()) == []
    (caches / which).unlink()
    (caches / which).touch()
    with pytest.raises(UnityEnvironmentException, match=rf"{which} (is a link or no folder|cannot be made)|cannot be"):
        private_cache("numba")


def test_a_folder_of_another_user_is_refused(caches, monkeypatch):
    private_cache("numba")
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    with pytest.raises(UnityEnvironmentException, match=f"mlagents belongs to user {me}, not to user {me + 1}"):
        private_cache("numba")


def test_a_folder_that_everybody_could_replace_is_refused(caches):
    private_cache("numba")
    caches.chmod(0o777)
    with pytest.raises(UnityEnvironmentException, match=r"everybody can write to .*caches, and so replace mlagents"):
        private_cache("numba")
    caches.chmod(0o1777)  # as shared folders are: nobody replaces what belongs to another
    private_cache("numba")


def test_each_system_has_its_own_place_for_caches(monkeypatch, tmp_path):
    monkeypatch.setattr(Path, "home", classmethod(lambda cls: tmp_path))
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for platform, parts in (
        ("linux", (".cache",)), ("darwin", ("Library", "Caches")), ("win32", ("AppData", "Local")),
    ):  # fmt: skip
        monkeypatch.setattr(sys, "platform", platform)
        assert cache_path("builds") == tmp_path.joinpath(*parts, "mlagents", "builds")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # which that standard says to ignore
    assert cache_path("builds") == tmp_path / ".cache" / "mlagents" / "builds"


def test_a_user_without_a_home_gets_a_sentence(monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(user_folder.Path, "home", homeless)
    with pytest.raises(UnityEnvironmentException, match=r"no folder for caches .*; set HOME"):
        private_cache("numba")
