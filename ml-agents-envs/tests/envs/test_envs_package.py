import subprocess
import sys
import types

import pytest

import mlagents_envs.envs as envs
from mlagents_envs.envs import PettingZooEnvFactory
from mlagents_envs.envs.unity_aec_env import UnityAECEnv
from mlagents_envs.examples.catalog import make
from mlagents_envs.exception import UnityWorkerInUseException


class Entry:
    """An entry of the registry whose first ports are taken."""

    def __init__(self, taken=0):
        self.asked = []
        self.taken = taken

    def make(self, **kwargs):
        self.asked.append(kwargs)
        if len(self.asked) <= self.taken:
            raise UnityWorkerInUseException(0)
        return make("Basic")


@pytest.fixture
def registry(monkeypatch):
    """A registry of three ids, in place of the real one, which wants the network."""
    registry = {"Basic": Entry(taken=2), "3DBall": Entry(), "not-a-name": Entry()}
    module = types.ModuleType("mlagents_envs.registry")
    module.default_registry = registry
    monkeypatch.setitem(sys.modules, "mlagents_envs.registry", module)
    return registry


@pytest.fixture
def no_side_channels(monkeypatch):
    monkeypatch.setattr("mlagents_envs.envs.pettingzoo_env_factory._side_channels", lambda: ["channel"])


def test_each_environment_of_the_registry_is_an_attribute(registry):
    assert isinstance(envs.Basic, PettingZooEnvFactory)
    assert envs.ThreeDBall.env_id == "3DBall"
    with pytest.raises(AttributeError, match=r"no environment 'Basik'; the registry has Basic, ThreeDBall$"):
        envs.Basik  # noqa: B018


def test_a_factory_takes_the_first_free_port(registry, no_side_channels):
    env = envs.Basic.env(seed=3, worker_id=1)
    assert isinstance(env, UnityAECEnv)
    asked = registry["Basic"].asked
    assert [kwargs["base_port"] for kwargs in asked] == [6000, 6001, 6002]
    assert asked[-1] == {"seed": 3, "worker_id": 1, "side_channels": ["channel"], "base_port": 6002}


def test_a_port_that_is_asked_for_is_the_only_one_tried(registry):
    with pytest.raises(UnityWorkerInUseException):
        envs.Basic.env(base_port=7000, side_channels=[])
    assert registry["Basic"].asked == [{"base_port": 7000, "side_channels": []}]
    with pytest.raises(KeyError):
        PettingZooEnvFactory("Nothing").env()


def run(program):
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


def test_importing_reads_no_registry():
    program = """
import sys
from mlagents_envs.envs import unity_gym_env, unity_aec_env
print("mlagents_envs.registry" in sys.modules)
"""
    assert run(program).strip() == "False"


@pytest.mark.parametrize(
    ("missing", "module", "extra"),
    [
        ("gymnasium", "unity_gym_env", "mlagents-envs[gym]"),
        ("pettingzoo", "unity_aec_env", "mlagents-envs[pettingzoo]"),
        ("pettingzoo", "unity_parallel_env", "mlagents-envs[pettingzoo]"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(missing, module, extra):
    program = f"""
import sys
sys.modules[{missing!r}] = None  # as if it were not installed
try:
    import mlagents_envs.envs.{module}
except ModuleNotFoundError as error:
    print(error)
"""
    assert extra in run(program)


def test_gymnasiums_faces_need_no_pettingzoo():
    assert (
        run("""
import sys
sys.modules["pettingzoo"] = None
import mlagents_envs.envs.unity_gym_env, mlagents_envs.envs.unity_vector_env
print("fine")
""").strip()
        == "fine"
    )


def test_a_built_in_example_needs_no_registry(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlagents_envs.registry", None)  # reading it would fail
    assert envs.ThreeDBallHard.env_id == "3DBallHard"
