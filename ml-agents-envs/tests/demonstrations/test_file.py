import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlagents_envs.base_env import ActionSpec, ActionTuple, BehaviorSpec
from mlagents_envs.demonstrations.file import Demonstration, demonstration_files, read, read_spec
from mlagents_envs.demonstrations.growing import GrowingDemonstration
from mlagents_envs.demonstrations.recording import write
from mlagents_envs.examples.example import vector_sensor
from mlagents_envs.exception import DemonstrationException


def reference(name):
    folder = Path(os.environ.get("MLAGENTS_REFERENCE", Path(__file__).parents[4] / "shared" / "reference"))
    file = folder / "demos" / f"{name}.demo"
    if not file.is_file():
        pytest.skip("no demonstration made in Unity here")
    return file


def demonstration(n=5, continuous=2, branches=(3, 2), seed=0):
    """Return records as they are kept: nothing led to the first one of an episode."""
    rng = np.random.default_rng(seed)
    mask = rng.random((n, sum(branches))) < 0.7
    done = rng.random(n) < 0.3
    goes_on = np.append(False, ~done[:-1])[:, None]
    return Demonstration(
        name="try",
        behavior="B?team=0",
        spec=BehaviorSpec([vector_sensor(3, "near"), vector_sensor(1, "far")], ActionSpec(continuous, tuple(branches))),
        obs=(rng.normal(size=(n, 3)).astype(np.float32), rng.normal(size=(n, 1)).astype(np.float32)),
        reward=rng.normal(size=n).astype(np.float32),
        done=done,
        interrupted=rng.random(n) < 0.3,
        mask=mask,
        action=ActionTuple(
            (goes_on * rng.normal(size=(n, continuous))).astype(np.float32),
            goes_on * rng.integers(0, 2, (n, len(branches)), np.int32),
        ),
    )


def assert_equal(one, other):
    assert one.spec == other.spec
    assert one.behavior == other.behavior
    for name in ("reward", "done", "interrupted", "mask"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    assert all(np.array_equal(a, b) for a, b in zip(one.obs, other.obs, strict=True))
    assert np.array_equal(one.action.continuous, other.action.continuous)
    assert np.array_equal(one.action.discrete, other.action.discrete)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 300), st.integers(0, 3), st.lists(st.integers(2, 4), max_size=3), st.integers(0, 99))
def test_what_is_written_is_read_again(tmp_path_factory, n, continuous, branches, seed):
    file = tmp_path_factory.mktemp("demo") / "a.demo"
    written = demonstration(n, continuous, tuple(branches), seed)
    write(file, written)
    assert_equal(read(file), written)


@pytest.mark.parametrize(
    ("name", "steps", "ends", "reward", "shapes", "action"),
    [
        ("Expert3DBall", 549, 0, 54.80, [(8,)], ActionSpec(2, ())),
        ("Expert3DBallHard", 276, 0, 27.50, [(45,)], ActionSpec(2, ())),
        ("ExpertBasic", 73, 10, 0.844, [(20,)], ActionSpec(0, (3,))),
        ("ExpertPushBlock", 2558, 95, 4.921, [(105,), (105,)], ActionSpec(0, (7,))),
        ("ExpertPyramid", 1751, 9, 1.626, [(56,), (56,), (56,), (4,)], ActionSpec(0, (5,))),
    ],
)
def test_unitys_own_recordings_are_read(name, steps, ends, reward, shapes, action):
    recorded = read(reference(name))
    assert len(recorded) == steps
    assert recorded.done.sum() == ends
    assert recorded.reward.sum() / (ends + 1) == pytest.approx(reward, abs=1e-2)
    assert [sensor.shape for sensor in recorded.spec.observation_specs] == shapes
    assert recorded.spec.action_spec == action


def test_reading_stops_before_the_second_copy_of_the_metadata(tmp_path):
    file = tmp_path / "a.demo"
    write(file, demonstration(4))
    file.write_bytes(file.read_bytes() + b"\x08\x01\x12\x03try")
    assert len(read(file)) == 4


def test_the_header_has_the_size_that_unity_reserves(tmp_path):
    file = tmp_path / "a.demo"
    write(file, demonstration(4))
    data = file.read_bytes()
    assert data[1 + data[0] : 33] == b"\0" * (32 - data[0])


def test_a_recording_that_was_cut_gets_a_sentence(tmp_path):
    file = tmp_path / "a.demo"
    write(file, demonstration(4))
    whole = file.read_bytes()
    for length in (0, 10, 33, 40, len(whole) // 2):
        file.write_bytes(whole[:length])
        with pytest.raises(DemonstrationException, match=r"ends too early|holds no record"):
            read(file)


def test_other_files_get_a_sentence(tmp_path):
    other = tmp_path / "a.txt"
    other.write_text("x")
    with pytest.raises(ValueError, match=r"does not end in .demo"):
        read(other)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "b.demo")
    noise = tmp_path / "c.demo"
    noise.write_bytes(bytes(range(1, 255)))
    with pytest.raises(DemonstrationException):
        read(noise)


def test_a_file_a_folder_and_a_pattern_can_be_named(tmp_path):
    for name in ("b.demo", "a.demo", "note.txt"):
        (tmp_path / name).write_bytes(b"")
    both = [tmp_path / "a.demo", tmp_path / "b.demo"]
    assert demonstration_files(tmp_path) == both
    assert demonstration_files(tmp_path / "*.demo") == both
    assert demonstration_files(both[0]) == both[:1]
    with pytest.raises(FileNotFoundError, match="no demonstration"):
        demonstration_files(tmp_path / "x")
    with pytest.raises(ValueError, match="does not end"):
        demonstration_files(tmp_path / "note.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"holds no .demo file"):
        demonstration_files(tmp_path / "empty")


@pytest.mark.parametrize("name", ["ExpertBasic", "Expert3DBall", "ExpertPushBlock"])
def test_what_unity_recorded_can_be_followed_as_if_it_were_just_written(tmp_path, name):
    whole, file = reference(name).read_bytes(), tmp_path / "a.demo"
    empty = bytes([2, 8, 1]).ljust(33, b"\0")  # metadata of a recording that goes on: its version alone
    growing, rewards = GrowingDemonstration(file), []
    for size in [*range(40, len(whole), max(len(whole) // 60, 1)), len(whole)]:
        file.write_bytes(empty + whole[33:size])
        if (part := growing.more()) is not None:
            rewards += part.reward.tolist()
    file.write_bytes(whole)
    if (part := growing.more()) is not None:
        rewards += part.reward.tolist()
    assert rewards == read(reference(name)).reward.tolist()
    assert growing.finished


@pytest.mark.parametrize(("continuous", "branches"), [(2, (3, 2)), (0, (4,)), (1, ())])
def test_what_an_agent_sees_and_does_is_read_without_the_records(tmp_path, continuous, branches):
    file = tmp_path / "a.demo"
    write(file, demonstration(9, continuous, branches))
    assert read_spec(file) == read(file).spec
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])  # whatever became of the other records
    assert read_spec(file).action_spec == ActionSpec(continuous, branches)


def test_what_is_no_demonstration_tells_nothing_of_its_agent(tmp_path):
    with pytest.raises(ValueError, match="is no demonstration"):
        read_spec(tmp_path / "a.txt")
    with pytest.raises(FileNotFoundError):
        read_spec(tmp_path / "a.demo")
    (tmp_path / "a.demo").write_bytes(b"")
    with pytest.raises(DemonstrationException, match="ends too early"):
        read_spec(tmp_path / "a.demo")


@pytest.mark.parametrize("name", ["Expert3DBall", "ExpertBasic", "ExpertPushBlock", "ExpertPyramid"])
def test_the_agents_of_unitys_recordings_are_known_by_header_and_first_record(name):
    assert read_spec(reference(name)) == read(reference(name)).spec
