"""Names, manifests, and what is known without a network."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from mlagents_envs import registry
from mlagents_envs.base_env import BaseEnv
from mlagents_envs.examples.catalog import NAMES
from mlagents_envs.exception import UnityEnvironmentException
from mlagents_envs.registry import UnityEnvRegistry, binary_utils, default_registry
from mlagents_envs.registry import manifest as manifest_module
from mlagents_envs.registry.base_registry_entry import BaseRegistryEntry
from mlagents_envs.registry.builtin_registry_entry import BuiltinRegistryEntry
from mlagents_envs.registry.remote_registry_entry import RemoteRegistryEntry

PLAYER = {"darwin": "Ball.app/Contents/MacOS/Ball", "win32": "Ball.exe"}.get(sys.platform, "Ball.x86_64")

MANIFEST = """
environments:
  - Ball:
      expected_reward: 100
      description: a ball
      linux_url: {url}
      darwin_url: {url}
      win_url: {url}
      additional_args: [--width, 80]
      tmp_dir: {tmp}
  - Other:
      expected_reward: null
      description: another
"""


class Entry(BaseRegistryEntry):
    """An environment that is not there."""

    def __init__(self, identifier, description=""):
        super().__init__(identifier, 1.0, description)

    def make(self, **kwargs):
        raise NotImplementedError


@pytest.fixture
def offline(monkeypatch):
    """The default registry, where every url is out of reach; yields the urls that were asked for."""
    asked = []

    def out_of_reach(url, **_):
        asked.append(url)
        raise UnityEnvironmentException(f"{url} cannot be read: no network")

    monkeypatch.setattr(manifest_module, "read", out_of_reach)
    fresh = manifest_module.Manifest(registry.HOSTED)
    sources = [
        fresh if isinstance(source, manifest_module.Manifest) else source for source in default_registry._sources
    ]
    monkeypatch.setattr(default_registry, "_sources", sources)
    return asked


@pytest.fixture
def started(monkeypatch):
    """Stand in for a player; what it was started with."""
    import mlagents_envs.environment as environment

    calls = []
    monkeypatch.setattr(environment, "UnityEnvironment", lambda **kwargs: calls.append(kwargs) or SimpleNamespace())
    return calls


def written(tmp_path, text):
    file = tmp_path / "manifest.yaml"
    file.write_text(text)
    return file


# names


def test_entries_are_found_by_name_and_later_ones_replace_earlier_ones():
    names = UnityEnvRegistry()
    names.register(Entry("a", "old"))
    names.register(Entry("b"))
    names.register(Entry("a", "new"))
    assert (names["a"].description, names["a"].expected_reward) == ("new", 1.0)
    assert (list(names), len(names), "b" in names, "c" in names) == (["a", "b"], 2, True, False)
    names.clear()
    assert len(names) == 0
    with pytest.raises(KeyError, match="a: no such environment; nothing is registered"):
        names["a"]


def test_an_unknown_name_gets_the_near_ones():
    names = UnityEnvRegistry()
    names.register(Entry("3DBall"))
    names.register(Entry("Walker"))
    with pytest.raises(KeyError, match=r"3dbal: no such environment; did you mean '3DBall'\?"):
        names["3dbal"]
    with pytest.raises(KeyError, match="x: no such environment; known are 3DBall, Walker"):
        names["x"]


def test_a_manifest_is_read_when_a_name_needs_it_and_once(server):
    server.answers = [MANIFEST.format(url="null", tmp="null").encode()]
    names = UnityEnvRegistry()
    names.register(Entry("Other", "before"))
    names.register_from_yaml(server.url("m.yaml"))
    names.register(Entry("Ball", "after"))
    assert names["Ball"].description == "after"
    assert server.asked == []
    assert names["Other"].description == "another"
    assert sorted(names) == ["Ball", "Other"]
    assert names["Ball"].description == "after"
    assert len(server.asked) == 1


def test_a_manifest_out_of_reach_is_one_warning_and_part_of_the_sentence(nobody, caplog):
    names = UnityEnvRegistry()
    names.register_from_yaml(nobody)
    names.register(Entry("a"))
    assert (list(names), len(names)) == (["a"], 1)
    with pytest.raises(
        KeyError, match=f"b: no such environment; .* could not be read: {nobody} cannot be read: .*refused"
    ):
        names["b"]
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_manifest_that_is_registered_again_is_read_again(server):
    server.answers = [404, MANIFEST.format(url="null", tmp="null").encode()]
    names = UnityEnvRegistry()
    for expected in (0, 2):
        names.register_from_yaml(server.url("m.yaml"))
        assert len(names) == expected
    assert names["Ball"].expected_reward == 100.0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("environments: [", "is no manifest"),
        ("<html>log in first</html>", "it has no list called 'environments'"),
        ("[" * 5000, "is no manifest"),
        ("a: \x01", "is no manifest"),
        ("environments: {a: b}", "it has no list called 'environments'"),
        ("environments: [a]", "environment number 1 is not one name with settings"),
        ("environments: [{a: {}, b: {}}]", "environment number 1 is not one name with settings"),
        ("environments: [{a: {linux_url: 3}}]", "environments.a.linux_url: 3 is no text"),
        ("environments: [{a: {expected_reward: high}}]", "environments.a.expected_reward: 'high' is no number"),
        ("environments: [{a: {additional_args: --x}}]", "additional_args: '--x' is no list"),
    ],
)
def test_what_is_no_manifest_is_a_warning_that_says_why(tmp_path, caplog, text, sentence):
    names = UnityEnvRegistry()
    names.register_from_yaml(written(tmp_path, text))
    assert len(names) == 0
    assert sentence in caplog.text
    assert "manifest.yaml" in caplog.text


def test_a_file_that_is_not_there_and_an_endless_one_are_warnings(tmp_path, server, caplog, monkeypatch):
    monkeypatch.setattr(manifest_module, "LIMIT", 10)
    server.answers = [b"x" * 11]
    names = UnityEnvRegistry()
    names.register_from_yaml(tmp_path / "no.yaml")
    names.register_from_yaml(server.url("m.yaml"))
    assert len(names) == 0
    assert "no.yaml cannot be read: No such file" in caplog.text
    assert "m.yaml is larger than 10 bytes" in caplog.text


def test_an_unknown_setting_is_an_error_with_its_place(tmp_path):
    names = UnityEnvRegistry()
    names.register_from_yaml(written(tmp_path, "environments: [{a: {linux_ulr: x}}]"))
    with pytest.raises(TypeError, match=r"environments.a.linux_ulr: no such setting; did you mean 'linux_url'\?"):
        names["a"]


# builds


def test_a_build_of_a_manifest_is_fetched_and_started(server, tmp_path, started, monkeypatch):
    build = server.answers[0]
    monkeypatch.setattr(binary_utils, "private_cache", lambda name: tmp_path / name)
    server.answers = [MANIFEST.format(url="builds/ball.zip", tmp="null").encode(), build]
    names = UnityEnvRegistry()
    names.register_from_yaml(server.url("here/m.yaml"))
    names["Ball"].make(file_name="ignored", seed=3, additional_args=["--own"])
    assert server.asked == ["/here/m.yaml", "/here/builds/ball.zip"]
    (call,) = started
    assert str(tmp_path) in call.pop("file_name")
    assert call == {"seed": 3, "additional_args": ["--own", "--width", "80"]}


@pytest.mark.parametrize("as_url", [True, False])
def test_paths_in_a_manifest_begin_where_it_lies(tmp_path, started, as_url):
    player = tmp_path / "build" / PLAYER
    player.parent.mkdir(parents=True)
    player.touch()
    names = UnityEnvRegistry()
    file = written(tmp_path, MANIFEST.format(url="build", tmp="null"))
    names.register_from_yaml(file.as_uri() if as_url else file)
    names["Ball"].make()
    assert started[0]["file_name"] == str(tmp_path / "build" / PLAYER.split("/")[0])


@pytest.mark.parametrize(
    ("url", "folder", "sentence"),
    [
        ("file:///etc/passwd", "null", "linux_url: file:///etc/passwd is on this machine"),
        ("C:/builds/ball.zip", "null", "linux_url: C:/builds/ball.zip is on this machine"),
        ("builds/ball.zip", "/home", "tmp_dir: /home is on this machine"),
        ("builds/ball.zip", "../here", "tmp_dir: ../here is on this machine"),
    ],
)
def test_a_manifest_from_elsewhere_names_nothing_of_this_machine(server, caplog, url, folder, sentence):
    server.answers = [MANIFEST.format(url=url, tmp=folder).encode()]
    names = UnityEnvRegistry()
    names.register_from_yaml(server.url("m.yaml"))
    assert len(names) == 0
    assert sentence in caplog.text
    assert "save the manifest" in caplog.text


@pytest.mark.parametrize("setting", ["description", "expected_reward", "additional_args", "tmp_dir", "linux_url"])
def test_a_manifest_that_says_endless_things_in_few_letters_gets_a_short_sentence(tmp_path, caplog, setting):
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
    names = UnityEnvRegistry()
    text = f"a0: &a0 [x]\n{levels}environments: [{{Ball: {{{setting}: [*a29]}}}}]"
    names.register_from_yaml(written(tmp_path, text))
    assert len(names) == 0
    assert f"environments.Ball.{setting}" in caplog.text
    assert len(caplog.text) < 2000


def test_a_platform_without_a_build_gets_a_sentence(monkeypatch):
    entry = RemoteRegistryEntry("a", None, None, "l", None, "w")
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(FileNotFoundError, match="a: there is no build for darwin, only for linux, win32"):
        entry.make()


# what is known without a network


def test_examples_are_found_without_reading_a_manifest(offline):
    for name in NAMES:
        assert default_registry[name].identifier == name
    env = default_registry["3DBall"].make(seed=2, num_areas=3, base_port=6000, no_graphics=True, side_channels=[])
    assert isinstance(env, BaseEnv)
    assert env.areas == 3
    assert default_registry["3DBall"].expected_reward == 100.0
    assert offline == []


def test_without_a_network_there_are_the_examples_and_one_warning(offline, caplog):
    assert sorted(default_registry) == sorted(NAMES)
    assert len(default_registry) == len(NAMES)
    with pytest.raises(KeyError, match=r"Soccer: no such environment; .*no network"):
        default_registry["Soccer"]
    assert offline == [registry.HOSTED]
    assert len(caplog.records) == 1


def test_an_example_makes_as_many_areas_as_its_scene_and_refuses_strange_arguments():
    entry = BuiltinRegistryEntry("3DBall")
    assert entry.make().areas == 12
    with pytest.raises(TypeError, match=r"3DBall: make\(\) has no argument 'num_area'; did you mean 'num_areas'\?"):
        entry.make(num_area=3)
    with pytest.raises(TypeError, match="an example takes seed and num_areas"):
        entry.make(color="red")


def test_importing_the_registry_loads_neither_physics_nor_players():
    code = "import sys, mlagents_envs.registry as r; r.default_registry['3DBall']; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"grpc", "numba", "torch", "mlagents", "mlagents_envs.environment", "mlagents_envs.examples.example"}
    assert not heavy.intersection(loaded)
