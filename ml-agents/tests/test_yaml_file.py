"""A file of whatever bytes gives options or a sentence with its place, never a traceback, in bounded time and memory."""

import random
import tracemalloc
from pathlib import Path

import pytest
import yaml as pyyaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mlagents.learn import main
from mlagents.settings.mistakes import SettingsError
from mlagents.settings.reading import load
from mlagents.settings.yaml_file import DEEPEST, LARGEST, read

CONFIG = Path(__file__).parents[2] / "config"
BUILTIN = ["--env", "builtin:Basic"]


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mlagents.plugins.catalog.entry_points", lambda group: [])

    def write(content):
        Path("a.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
        return "a.yaml"

    return write


MERGED = {  # what a text says of `own`; as YAML's own page about merge keys has it
    "beside an override": ("base: &base {x: 1, y: 2}\nown:\n  <<: *base\n  y: 3\n", {"x": 1, "y": 3}),
    "an override above": ("base: &base {x: 1, y: 2}\nown:\n  y: 3\n  <<: *base\n", {"x": 1, "y": 3}),
    "of a merged one": ("a: &a {x: 1, y: 1, z: 1}\nb: &b\n  <<: *a\n  y: 2\nown:\n  <<: *b\n  z: 3\n", {"x": 1, "y": 2, "z": 3}),
    "below a merged one": ("a: &a {deep: {x: 1}}\nown:\n  <<: *a\n  deep: {y: 2}\n", {"deep": {"y": 2}}),
    "several": ("a: &a {x: 1, y: 1}\nb: &b {x: 2, z: 2}\nown:\n  <<: [*a, *b]\n  z: 3\n", {"x": 1, "y": 1, "z": 3}),
    "written twice": ("a: &a {x: 1, y: 1}\nb: &b {x: 2}\nown:\n  <<: *a\n  <<: *b\n", {"x": 2, "y": 1}),
    "written out": ("own:\n  <<: {x: 1, y: 1}\n  x: 2\n", {"x": 2, "y": 1}),
}  # fmt: skip


@pytest.mark.parametrize(("text", "own"), MERGED.values(), ids=MERGED)
def test_a_merge_key_gives_way_to_what_stands_beside_it_and_is_no_key_written_twice(file, text, own):
    document = read(file(text))
    assert document.values["own"] == own
    assert (document.mistakes, document.warnings) == ([], [])


def test_a_behavior_may_be_another_one_with_an_override(file):
    text = """
behaviors:
  A: &a
    trainer_type: ppo
    hyperparameters: &numbers {batch_size: 64, buffer_size: 640}
    max_steps: 100
  B:
    <<: *a
    max_steps: 200
    hyperparameters: {<<: *numbers, beta: 0.1}
"""
    options, warnings = load(file(text), {})
    assert warnings == []
    second = options.behaviors["B"]
    assert (second.max_steps, second.hyperparameters.batch_size, second.hyperparameters.beta) == (200, 64, 0.1)


def test_a_mistake_in_merged_keys_is_where_they_are_written(file):
    text = "default_settings: &base\n  max_steps: -1\nbehaviors:\n  B:\n    <<: *base\n"
    with pytest.raises(SettingsError) as caught:
        load(file(text), {})
    assert {mistake.line for mistake in caught.value.mistakes} == {2}


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("behaviors:\n  B:\n    max_steps: 1\n    max_steps: 2\n", "a.yaml:4:5: behaviors.B.max_steps: is there twice; the first, in line 3"),
        ("behaviors:\n  B: {max_steps: 1}\n  B: {max_steps: 2}\n", "a.yaml:3:3: behaviors.B: is there twice; the first, in line 2"),
        ("behaviors:\n  B: {max_steps: 1}\nbehaviors:\n  B: {max_steps: 2}\n", "a.yaml:3:1: behaviors: is there twice; the first, in line 1"),
        ("behaviors:\n  B: {max_steps: 2}\ndebug: true\n'debug': false", "a.yaml:4:1: debug: is there twice; the first, in line 3"),
    ],
)  # fmt: skip
def test_a_key_written_twice_is_a_warning_and_the_last_one_counts(file, text, where):
    options, warnings = load(file(text), {})
    assert warnings == [f"{where}, has no effect"]
    assert options.behaviors["B"].max_steps == pyyaml.safe_load(text)["behaviors"]["B"]["max_steps"] == 2
    assert not options.debug


def test_keys_are_text_as_they_are_written(file):
    names = ["1", "007", "1.0", "true", "No", "null", "2024-01-01", "0x10", "="]
    text = "behaviors:\n" + "".join(f"  {name}: {{max_steps: 5}}\n" for name in names)
    assert list(load(file(text), {})[0].behaviors) == names


def test_a_date_is_text(file):
    text = "checkpoint_settings: {run_id: 2024-13-45, results_dir: 2024-02-30}\n"
    said = load(file(text), {})[0].checkpoint_settings
    assert (said.run_id, said.results_dir) == ("2024-13-45", "2024-02-30")


DEEP = "[" * 5000 + "]" * 5000
LAUGHS = "\n".join(["a0: &a0 [lol, lol]", *(f"a{i}: &a{i} [{f'*a{i - 1}, ' * 9}]" for i in range(1, 30))])
MERGING = "\n".join(["a0: &a0 {}", *(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}" for i in range(1, 40))])
CHAIN = "\n".join(["a0: &a0 {x: 1}", *(f"a{i}: &a{i} {{<<: *a{i - 1}}}" for i in range(1, 2000))])
ALIASES = "\n".join(["a0: &a0 {x: 1}", *(f"a{i}: &a{i} {{x: *a{i - 1}}}" for i in range(1, 2000))])
FAULTS = {
    "empty": ("", "a.yaml: is empty; it must have keys and values, with 'behaviors:' at the top"),
    "comments": ("# nothing\n\n", "a.yaml: is empty; it must have keys and values, with 'behaviors:' at the top"),
    "null": ("null\n", "a.yaml:1:1: must be keys and values, with 'behaviors:' at the top"),
    "a word": ("hello\n", "a.yaml:1:1: must be keys and values, with 'behaviors:' at the top"),
    "two documents": ("a: 1\n---\nb: 2\n", "a.yaml:2:1: is not YAML: but found another document"),
    "itself": ("a: &a\n  b: *a\n", "a.yaml:2:6: the alias *a stands inside what it stands for; it would never end"),
    "itself in a list": ("a: &a [1, [*a]]\n", "a.yaml:1:12: the alias *a stands inside what it stands for; it would never end"),
    "itself merged": ("a: &a\n  <<: *a\n", "a.yaml:2:7: the alias *a stands inside what it stands for; it would never end"),
    "an anchor twice": ("a: &x 1\nb: &x 2\n", "a.yaml:2:4: the anchor &x is there twice; the first is in line 1"),
    "no anchor": ("a: *x\n", "a.yaml:1:4: is not YAML: found undefined alias 'x'"),
    "deep": (f"a: {DEEP}\n", f"a.yaml:1:54: is nested more than {DEEPEST} deep"),
    "deep in blocks": ("- " * 5000, f"a.yaml:1:103: is nested more than {DEEPEST} deep"),
    "deep by indentation": ("".join(f"{' ' * i}a:\n" for i in range(500)), f"a.yaml:51:51: is nested more than {DEEPEST} deep"),
    "deep by aliases": (ALIASES, f"is nested more than {DEEPEST} deep"),
    "deep by merging": (CHAIN, f"has '<<' that follow each other more than {DEEPEST} times"),
    "a billion laughs": (LAUGHS, "has more than 20,000 values once its aliases are followed"),
    "a billion merges": (MERGING, "has more than 20,000 values once its aliases are followed"),
    "many values": (f"a: [{'1, ' * 30000}]\n", "a.yaml:1:59996: has more than 20,000 values, so it is no configuration"),
    "a merge of a number": ("a:\n  <<: 5\n", "a.yaml:2:3: a.<<: must name keys and values, or a list of such, as '<<: *base'"),
    "NUL": (b"behaviors:\n  B\0: {}\n", "a.yaml:2:4: is not YAML: the character U+0000 may not stand in a file of text"),
    "a control character": (b"behaviors: {}\nx: a\x1b[31m\n", "a.yaml:2:5: is not YAML: the character U+001B may not stand in a file of text"),
    "an escaped NUL": ('checkpoint_settings: {run_id: "a\\0b"}\n', "a.yaml:1:31: checkpoint_settings.run_id: is 'a\\x00b'; it must have no control characters"),
    "half a character": ('checkpoint_settings: {run_id: "\\ud800"}\n', "checkpoint_settings.run_id: is '\\ud800'; it must have no control characters"),
    "no character": ('a: "\\UFFFFFFFF"\n', "is not YAML: "),
    "a tab": ("a:\n\tb: 1\n", "a.yaml:2:1: is not YAML: found character '\\t' that cannot start any token; YAML is indented with spaces, not tabs"),
    "Latin-1": ("behaviors:\n  # für\n".encode("latin-1"), "a.yaml:2:1: is not UTF-8 text: invalid start byte; save it as UTF-8"),
    "UTF-16": ("behaviors: {}\n".encode("utf-16"), "a.yaml:1:1: is UTF-16 text; save it as UTF-8"),
    "a list as a key": ("behaviors:\n  ? [a, b]\n  : {}\n", "a.yaml:2:5: behaviors: a key is a list; it must be text"),
    "keys as a key": ("behaviors:\n  {a: b}: {}\n", "a.yaml:2:3: behaviors: a key is keys and values; it must be text"),
    "an empty key": ('behaviors:\n  "": {}\n', "a.yaml:2:3: behaviors: a key is empty; it must be text"),
    "a long key": (f"? {'x' * 5000}\n: 1\n", "has 5,000 letters; 200 are the most"),
    "a key with a bell": ('"a\\a": 1\n', "a.yaml:1:1: the key 'a\\x07' has a control character in it"),
    "Python": ("debug: !!python/object/apply:os.system [ls]\n", "a.yaml:1:8: debug: has the tag !!python/object/apply:os.system; tags mean nothing here, so leave it away"),
    "Python as keys": ("behaviors: !!python/object:os.x {B: {}}\n", "a.yaml:1:12: behaviors: has the tag !!python/object:os.x; tags mean nothing here, so leave it away"),
    "a tag of one's own": ("debug: !mine true\n", "a.yaml:1:8: debug: has the tag !mine; tags mean nothing here, so leave it away"),
    "a tagged key": ("!mine debug: true\n", "a.yaml:1:1: has the tag !mine; tags mean nothing here, so leave it away"),
    "a set": ("behaviors: !!set {B}\n", "a.yaml:1:12: behaviors: has the tag !!set; tags mean nothing here, so leave it away"),
    "binary": ("debug: !!binary x\n", "a.yaml:1:8: debug: has the tag !!binary; tags mean nothing here, so leave it away"),
    "no truth": ("debug: !!bool perhaps\n", "a.yaml:1:1: debug: is 'perhaps'; must be true or false"),
    "no number": ("env_settings: {num_areas: !!int x}\n", "a.yaml:1:16: env_settings.num_areas: is 'x'; must be a whole number"),
    "a number of no digits": ("env_settings: {num_areas: 0b_}\n", "a.yaml:1:16: env_settings.num_areas: is '0b_'; must be a whole number"),
    "a number of many digits": (f"env_settings: {{num_areas: {'9' * 5000}}}\n", "a.yaml:1:16: env_settings.num_areas: is "),
    "a number of many bits": (f"env_settings: {{num_areas: 0x{'f' * 5000}}}\n", "a.yaml:1:16: env_settings.num_areas: is "),
    "a number of many minutes": (f"env_settings: {{num_areas: 1{':1' * 300_000}}}\n", "a.yaml:1:16: env_settings.num_areas: is "),
    "a name of many letters": (f"behaviors: {{B: {{trainer_type: {'x' * 300_000}}}}}\n", "a.yaml:1:17: behaviors.B.trainer_type: 'xxx"),
    "a sampler of many letters": (f"environment_parameters: {{m: {{sampler_type: {'x' * 300_000}, sampler_parameters: {{}}}}}}\n", "sampler_type: 'xxx"),
    "a plug-in of many letters": (f"plugins: [{'x' * 300_000}]\n", "a.yaml:1:1: plugins: xxx"),
    "an impossible date": ("env_settings: {num_areas: 2024-13-45}\n", "a.yaml:1:16: env_settings.num_areas: is '2024-13-45'; must be a whole number"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "sentence"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_a_sentence_with_its_place_and_ends_with_status_two(file, capsys, content, sentence):
    assert main([file(content), *BUILTIN]) == 2
    heard = capsys.readouterr().err
    assert sentence in heard
    assert heard.startswith("a.yaml")
    assert len(heard) < 2000, "a sentence is no copy of the file"
    assert not Path("results").exists()


def test_what_is_no_file_is_a_sentence(file, capsys):
    Path("folder").mkdir()
    assert main(["folder"]) == 2
    assert capsys.readouterr().err == "folder: is a folder; name the file in it\n"
    with pytest.raises(SettingsError, match="cannot be read: embedded null"):
        read("a\0b")


def test_a_long_file_is_refused_before_it_is_read(file, capsys):
    with open("a.yaml", "wb") as target:
        target.truncate(100 * 2**20)
    tracemalloc.start()
    status = main(["a.yaml"])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert status == 2
    assert capsys.readouterr().err == f"a.yaml: is longer than {LARGEST:,} bytes, so it is no configuration\n"
    assert most < 20 * 2**20


def test_a_file_with_thousands_of_mistakes_shows_the_first_hundred(file, capsys):
    text = "behaviors:\n  B:\n" + "".join(f"    key{i}: 1\n" for i in range(900))
    assert main([file(text)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 101
    assert lines[-1] == "and 800 more"


def outcome(content):
    """Return whether the bytes are accepted; anything but options or SettingsError fails the test."""
    Path("damaged.yaml").write_bytes(content)
    try:
        options, warnings = load("damaged.yaml", {})
        assert load_again(options) == options.as_dict()
        assert all(isinstance(warning, str) for warning in warnings)
    except SettingsError as error:
        assert error.mistakes
        assert str(error).isprintable() or "\n" in str(error)
        return False
    return True


def load_again(options):
    Path("again.yaml").write_text(options.to_yaml(), encoding="utf-8")
    return load("again.yaml", {})[0].as_dict()


WHOLE = [path.read_bytes() for path in sorted(CONFIG.rglob("*.yaml"))]
EVERYTHING = b"""
default_settings: &base
  trainer_type: ppo
  hyperparameters: {batch_size: 64, buffer_size: 2048, learning_rate: 3.0e-4, learning_rate_schedule: constant}
  network_settings: {normalize: true, hidden_units: 64, memory: {memory_size: 32, sequence_length: 16}}
  reward_signals:
    extrinsic: {gamma: 0.99, strength: 1.0}
    curiosity: {gamma: 0.9, encoding_size: 32}
  max_steps: 1.0e5
behaviors:
  Ball: {<<: *base, max_steps: 7, self_play: {save_steps: 10, window: 3}}
  Team:
    trainer_type: sac
    behavioral_cloning: {demo_path: a.demo, strength: 0.5}
    even_checkpoints: true
env_settings: {seed: 3, num_envs: 2, env_path: builtin:Basic, env_args: [--a, 1]}
engine_settings: {width: 84, time_scale: 20.0}
environment_parameters:
  mass: 3.0
  size: {sampler_type: uniform, sampler_parameters: {min_value: 0.5, max_value: 2}}
  wind:
    curriculum:
      - name: calm
        value: 0.0
        completion_criteria: {behavior: Ball, measure: progress, threshold: 0.3, require_reset: true}
      - {name: storm, value: {sampler_type: gaussian, sampler_parameters: {mean: 1, st_dev: .5}}}
checkpoint_settings: {run_id: mine, force: true}
torch_settings: {device: cpu}
debug: false
"""


def test_the_file_with_everything_is_accepted(file):
    assert outcome(EVERYTHING)


def damaged(content, rng):
    """Return a file as a slip, a crash or a bad disk would leave it."""
    content, lines = bytearray(content), content.splitlines(keepends=True)
    match rng.randrange(5):
        case 0:
            for _ in range(rng.randint(1, 4)):
                content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        case 1:
            del content[rng.randrange(len(content)) :]
        case 2:
            here = rng.randrange(len(lines))
            content = b"".join([*lines[:here], *lines[rng.randrange(len(lines)) :]])
        case 3:
            content = b"".join([*lines, *rng.sample(lines, 3)])
        case _:
            here = rng.randrange(len(content))
            content[here:here] = rng.choice([b": ", b"- ", b"&a ", b"*a ", b"{", b"]", b"!x ", b"\t", b"? ", b"'", b"%", b"|\n"])
    return bytes(content)


def test_hundreds_of_damaged_files_give_options_or_mistakes(file):
    rng = random.Random(3)
    accepted = [outcome(damaged(rng.choice([*WHOLE, EVERYTHING, EVERYTHING]), rng)) for _ in range(300)]
    assert 20 < sum(accepted) < 280


WORDS = st.sampled_from(
    ["behaviors", "default_settings", "trainer_type", "ppo", "PPO", "sac", "hyperparameters", "network_settings",
     "reward_signals", "extrinsic", "gail", "environment_parameters", "curriculum", "sampler_type", "uniform",
     "sampler_parameters", "value", "name", "completion_criteria", "env_settings", "num_envs", "seed", "base_port",
     "self_play", "save_steps", "memory", "trainer", "batch_size", "thresholds", "parameters", "framework"]
)  # fmt: skip
NUMBERS = st.integers() | st.floats() | st.sampled_from([2**31, 2**63, 10**400, 1e300, -1, 0])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS | st.text(max_size=5),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(WORDS, below, max_size=5),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(WORDS, VALUES, min_size=1, max_size=5))
def test_values_of_any_kind_anywhere_give_options_or_mistakes(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("any") / "any.yaml"
    path.write_text(pyyaml.safe_dump(values, allow_unicode=True), encoding="utf-8")
    try:
        load(str(path), {})
    except SettingsError as error:
        assert error.mistakes
