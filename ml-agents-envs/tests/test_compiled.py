"""The cache of compiled kernels: nobody else's code, and no reason for a run to end."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import mlagents_envs

pytest.importorskip("numba")

KERNELS = """
from mlagents_envs.compiled import compiled

@compiled()
def double(x):
    return 2 * x

@compiled()
def again(x):
    return double(x) + 1
"""
PREPARE = {
    "nothing": "",
    "read-only": """
import os
access = os.access
os.access = lambda path, mode, **rest: False if str(path).endswith("mlagents_envs") else access(path, mode, **rest)
""",
    "full": """
import errno, numba.core.caching as caching
def full(self, name, data):
    raise OSError(errno.ENOSPC, "No space left on device")
caching.IndexDataCacheFile._save_data = full
""",
}


def run(tmp_path, how="nothing", **environment):
    """Return the lines that a process prints which uses kernels; the last is what they computed."""
    (tmp_path / "mlagents_kernels.py").write_text(KERNELS)
    program = f"{PREPARE[how]}\nimport mlagents_kernels\nprint(mlagents_kernels.again(20.5))"
    here = f"{tmp_path}{os.pathsep}{Path(mlagents_envs.__file__).parents[1]}"
    inherited = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", program], env={**inherited, "PYTHONPATH": here, **environment},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


def warnings(lines):
    return [line for line in lines if line.startswith("[WARNING] Kernels are compiled without a cache: ")]


def test_a_shared_installation_keeps_kernels_in_the_users_cache(tmp_path):
    caches = tmp_path / "caches"
    before = set(Path(tempfile.gettempdir()).glob("mlagents-numba*"))
    assert run(tmp_path, "read-only", XDG_CACHE_HOME=str(caches))[-1] == "42.0"
    assert len(list((caches / "mlagents" / "numba").rglob("*.nbi"))) == 2
    assert set(Path(tempfile.gettempdir()).glob("mlagents-numba*")) == before


def test_a_cache_that_others_can_write_to_is_not_used(tmp_path):
    caches = tmp_path / "caches"
    (caches / "mlagents" / "numba").mkdir(parents=True)
    (caches / "mlagents").chmod(0o777)
    lines = run(tmp_path, "read-only", XDG_CACHE_HOME=str(caches))
    assert lines[-1] == "42.0"
    (line,) = warnings(lines)
    assert "others can write to" in line and "NUMBA_CACHE_DIR" in line
    assert not list(caches.rglob("*.nbi"))


@pytest.mark.parametrize("kind", ["*.nbi", "*.nbc"])
@pytest.mark.parametrize("left", [0, 7, 60])
def test_a_kernel_that_was_cut_off_is_compiled_again_and_kept(tmp_path, kind, left):
    cache = tmp_path / "cache"
    run(tmp_path, NUMBA_CACHE_DIR=str(cache))
    files = list(cache.rglob(kind))
    assert files
    for file in files:
        file.write_bytes(file.read_bytes()[:left])
    lines = run(tmp_path, NUMBA_CACHE_DIR=str(cache))
    assert lines[-1] == "42.0"
    assert any("cannot be read" in line for line in lines)
    assert run(tmp_path, NUMBA_CACHE_DIR=str(cache)) == ["42.0"]  # it could be read


def test_a_disk_that_is_full_is_one_line_and_the_run_goes_on(tmp_path):
    lines = run(tmp_path, "full", NUMBA_CACHE_DIR=str(tmp_path / "cache"))
    assert lines[-1] == "42.0"
    (line,) = warnings(lines)
    assert "No space left on device" in line


def test_a_cache_that_cannot_be_made_is_one_line_and_the_run_goes_on(tmp_path):
    (tmp_path / "file").touch()
    lines = run(tmp_path, "read-only", XDG_CACHE_HOME=str(tmp_path / "file"))
    assert lines[-1] == "42.0"
    assert len(warnings(lines)) == 1
