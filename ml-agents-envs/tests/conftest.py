"""Players for tests of the low-level API."""

import socket

import psutil
import pytest

from mlagents_envs.environment import UnityEnvironment
from mlagents_envs.player.executable import make_executable


@pytest.fixture(scope="session")
def builds(tmp_path_factory):
    """A function that writes a player and returns its path, as a user gives it."""
    folder = tmp_path_factory.mktemp("builds")

    def build(name="3DBall", *arguments):
        where = folder / "_".join([name, *arguments]).replace(":", "-")
        if not where.exists():
            make_executable(where, name, arguments=arguments)
        return str(where / name)

    return build


@pytest.fixture
def start(builds):
    """A function that starts a player; all are closed at the end."""
    begun = []

    def begin(name="3DBall", *arguments, **options):
        begun.append(UnityEnvironment(builds(name, *arguments), **options))
        return begun[-1]

    yield begin
    for env in begun:
        if env._connection is not None:
            env.close()


@pytest.fixture
def players():
    """A function that returns the players that this process has started and that still run."""

    def find():
        return [child for child in psutil.Process().children(recursive=True) if "serve" in " ".join(child.cmdline())]

    return find


@pytest.fixture
def free_port():
    """A port that nobody listens to."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
