"""A demonstration that is being made can be followed: every record once, as soon as it is whole."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.communicator_objects.agent_info_action_pair_pb2 import AgentInfoActionPairProto
from mlagents_envs.communicator_objects.brain_parameters_pb2 import BrainParametersProto
from mlagents_envs.communicator_objects.demonstration_meta_pb2 import DemonstrationMetaProto
from mlagents_envs.demonstrations.file import read
from mlagents_envs.demonstrations.growing import GrowingDemonstration
from mlagents_envs.demonstrations.layout import HEADER, header, metadata, parse
from mlagents_envs.demonstrations.recording import DemonstrationRecorder
from mlagents_envs.examples.example import vector_sensor
from mlagents_envs.exception import DemonstrationException

SPEC = BehaviorSpec([vector_sensor(2, "seen")], ActionSpec(1, (3,)))


def record(recorder, number, **flags):
    recorder.record([np.full(2, number, np.float32)], float(number), np.array([0.5]), np.array([number % 3]), **flags)


def numbers(demonstration):
    return [] if demonstration is None else demonstration.obs[0][:, 0].astype(int).tolist()


def records_of(path):
    """Return the messages of a file."""
    data, place, records = path.read_bytes(), HEADER, []
    place = parse(BrainParametersProto(), data, place, path)
    for _ in range(metadata(data, path).number_steps):
        records.append(AgentInfoActionPairProto())
        place = parse(records[-1], data, place, path)
    return records


def made(path, n):
    with DemonstrationRecorder(path, "B", SPEC) as recorder:
        for number in range(n):
            record(recorder, number, done=number % 4 == 3)
    return path.read_bytes()


def test_what_is_recorded_is_read_again(tmp_path):
    with DemonstrationRecorder(tmp_path / "a.demo", "B?team=1", SPEC) as recorder:
        record(recorder, 1, mask=np.array([True, False, True]))
        record(recorder, 2, done=True, interrupted=True)
    again = read(tmp_path / "a.demo")
    assert (again.name, again.behavior, again.spec) == ("a", "B?team=1", SPEC)
    assert again.reward.tolist() == [1.0, 2.0]
    assert again.done.tolist() == again.interrupted.tolist() == [False, True]
    assert again.mask.tolist() == [[True, False, True], [True, True, True]]
    assert (again.action.continuous.tolist(), again.action.discrete.tolist()) == ([[0.0], [0.5]], [[0], [2]])


def test_records_hold_what_led_to_them_and_zeros_where_an_episode_begins(tmp_path):
    with DemonstrationRecorder(tmp_path / "a.demo", "B", SPEC) as recorder:
        for number, done in enumerate([False, False, True, False, True, True, False]):
            recorder.record([np.zeros(2)], 0.0, [number / 8], [number % 3], done=done)
    raw = records_of(tmp_path / "a.demo")
    assert [list(pair.action_info.continuous_actions) for pair in raw] == [[0], [1 / 8], [2 / 8], [0], [4 / 8], [0], [0]]
    assert [list(pair.action_info.discrete_actions) for pair in raw] == [[0], [1], [2], [0], [1], [0], [0]]


def test_where_an_episode_begins_no_action_need_be_given(tmp_path):
    with DemonstrationRecorder(tmp_path / "a.demo", "B", SPEC) as recorder:
        recorder.record([np.zeros(2)], 0.0)
        recorder.record([np.zeros(2)], 0.0, [0.5], [1], done=True)
        recorder.record([np.zeros(2)], 0.0)
        with pytest.raises(DemonstrationException, match=r"the continuous action has shape \(0,\); it must be \(1,\)"):
            recorder.record([np.zeros(2)], 0.0)
    assert read(tmp_path / "a.demo").action.discrete.tolist() == [[0], [1], [0]]


def test_the_header_says_what_unitys_says(tmp_path):
    DemonstrationRecorder(tmp_path / "a.demo", "B?team=1", SPEC).close()
    parameters = BrainParametersProto()
    parse(parameters, (tmp_path / "a.demo").read_bytes(), HEADER, tmp_path)
    expected = BrainParametersProto(brain_name="B?team=1")
    expected.action_spec.num_continuous_actions, expected.action_spec.num_discrete_actions = 1, 1
    expected.action_spec.discrete_branch_sizes.append(3)
    assert parameters == expected


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("long_name_of_a_take", "longnameofatake"), ("My take - 2", "My take - 2"), ("a" * 40, "a" * 16), ("übung", "bung"),
        ("演示" * 20, ""), ("🎮" * 9 + "x", "x"), ("a\udcff\0b", "ab"), ("", ""), ("_" * 20 + "late", "late"),
    ],
)  # fmt: skip
def test_a_name_keeps_the_letters_that_unity_keeps_and_its_file_is_read(tmp_path, name, kept):
    with DemonstrationRecorder(tmp_path / "a.demo", "B", SPEC, name=name) as recorder:
        record(recorder, 1)
    assert read(tmp_path / "a.demo").name == kept
    assert numbers(read(tmp_path / "a.demo")) == [1]


@given(st.text(max_size=40), st.text(st.characters(exclude_categories=["Cs"])))
def test_any_name_and_any_behavior_give_a_file_that_is_read(tmp_path_factory, name, behavior):
    file = tmp_path_factory.mktemp("demo") / "a.demo"
    with DemonstrationRecorder(file, behavior, SPEC, name=name) as recorder:
        record(recorder, 7)
    assert numbers(read(file)) == [7]
    assert read(file).behavior == behavior


@pytest.mark.parametrize("steps", [1, 2**14, 2**21 - 1, 2**21, 2**31 - 1])
@pytest.mark.parametrize("episodes", [1, 2**14, 2**31 - 1])
def test_a_header_has_its_size_however_large_its_numbers_are(steps, episodes):
    numbers = {"number_steps": steps, "number_episodes": episodes, "mean_reward": -0.5}
    data = header(DemonstrationMetaProto(api_version=1, demonstration_name="a" * 16, **numbers))
    meta = metadata(data, Path("a.demo"))
    assert len(data) == HEADER
    assert (meta.number_steps, meta.number_episodes, meta.mean_reward) == (steps, episodes, -0.5)
    assert "aaaaaaaaa" in meta.demonstration_name


WRONG = {
    "a sensor less": ({"obs": []}, "there are observations of 0 sensors; it must be 1"),
    "another shape": ({"obs": [np.zeros(3)]}, "sensor 0 'seen' has shape (3,); it must be (2,)"),
    "a row of a batch": ({"obs": [np.zeros((1, 2))]}, "sensor 0 'seen' has shape (1, 2); it must be (2,)"),
    "nan in an observation": ({"obs": [[0, np.nan]]}, "sensor 0 'seen' holds nan; it must be finite and within 1e+15"),
    "a number too large": ({"obs": [[0, 1e39]]}, "sensor 0 'seen' holds inf; it must be finite and within 1e+15"),
    "infinity as a reward": ({"reward": -np.inf}, "the reward holds -inf; it must be finite and within 1e+15"),
    "two continuous actions": ({"continuous": [0, 0]}, "the continuous action has shape (2,); it must be (1,)"),
    "no continuous action": ({"continuous": []}, "the continuous action has shape (0,); it must be (1,)"),
    "nan as an action": ({"continuous": [np.nan]}, "the continuous action holds nan; it must be finite and within 1e+15"),
    "a choice beyond its branch": ({"discrete": [3]}, "discrete branch 0 is 3; it has the choices 0 to 2"),
    "a choice below zero": ({"discrete": [-1]}, "discrete branch 0 is -1; it has the choices 0 to 2"),
    "a choice in between": ({"discrete": [0.5]}, "discrete branch 0 is 0.5; it has the choices 0 to 2"),
    "two choices": ({"discrete": [0, 0]}, "the discrete action has shape (2,); it must be (1,)"),
    "a mask of another size": ({"mask": [True]}, "the mask has shape (1,); it must be (3,), one per choice"),
}


@pytest.mark.parametrize(("wrong", "message"), WRONG.values(), ids=WRONG)
def test_what_no_agent_can_see_do_or_be_given_is_refused_and_nothing_is_written(tmp_path, wrong, message):
    with DemonstrationRecorder(tmp_path / "a.demo", "B", SPEC) as recorder:
        record(recorder, 1)
        before = (tmp_path / "a.demo").read_bytes()
        with pytest.raises(DemonstrationException) as caught:
            recorder.record(**{"obs": [np.zeros(2)], "reward": 0.0, "continuous": [0.5], "discrete": [1], **wrong})
        assert f"a.demo: record 1: {message}" in str(caught.value)
        assert (tmp_path / "a.demo").read_bytes() == before
        record(recorder, 2, done=True)
    assert numbers(read(tmp_path / "a.demo")) == [1, 2]


def test_records_are_handed_out_once_while_they_are_made(tmp_path):
    growing = GrowingDemonstration(tmp_path / "a.demo")
    assert growing.more() is None  # there is no file yet
    with DemonstrationRecorder(tmp_path / "a.demo", "B", SPEC) as recorder:
        assert growing.more() is None
        record(recorder, 1)
        record(recorder, 2)
        assert numbers(growing.more()) == [1, 2]
        assert growing.more() is None
        record(recorder, 3)
        assert numbers(growing.more()) == [3]
        record(recorder, 4, done=True)
    assert not growing.finished
    last = growing.more()
    assert numbers(last) == [4]
    assert last.done.tolist() == [True]
    assert growing.finished
    assert growing.more() is None


def test_a_file_that_grows_byte_by_byte_gives_every_record_and_never_fails(tmp_path):
    # the header is rewritten last, as when Unity's recorder closes a file
    whole, file = made(tmp_path / "whole.demo", 9), tmp_path / "a.demo"
    recorder = DemonstrationRecorder(tmp_path / "open.demo", "B", SPEC, name="whole")
    unfinished = (tmp_path / "open.demo").read_bytes()[:HEADER] + whole[HEADER:]
    recorder.close()
    growing, got = GrowingDemonstration(file), []
    for size in range(1, len(whole) + 1):
        file.write_bytes(unfinished[:size])
        got += numbers(growing.more())
    file.write_bytes(whole)
    got += numbers(growing.more())
    assert got == list(range(9))
    assert growing.finished


def test_a_whole_file_is_taken_at_once(tmp_path):
    made(tmp_path / "a.demo", 5)
    growing = GrowingDemonstration(tmp_path / "a.demo")
    assert numbers(growing.more()) == [0, 1, 2, 3, 4]
    assert growing.finished


def test_another_recording_in_the_same_place_is_read_from_its_beginning(tmp_path):
    made(tmp_path / "a.demo", 8)
    growing = GrowingDemonstration(tmp_path / "a.demo")
    growing.more()
    (tmp_path / "a.demo").unlink()
    made(tmp_path / "a.demo", 3)
    assert numbers(growing.more()) == [0, 1, 2]


def test_damage_is_told_apart_from_what_is_not_written_yet(tmp_path):
    whole, file = made(tmp_path / "whole.demo", 9), tmp_path / "a.demo"
    middle = HEADER + (len(whole) - HEADER) // 2
    file.write_bytes(whole[:middle] + b"\xff" * 20 + whole[middle + 20 :])
    with pytest.raises(DemonstrationException, match=r"a\.demo"):
        GrowingDemonstration(file).more()


def test_a_recorder_that_is_killed_leaves_all_that_it_recorded(tmp_path):
    program = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_recording import *
recorder = DemonstrationRecorder({str(tmp_path / "a.demo")!r}, "B", SPEC)
for number in range(4):
    record(recorder, number)
os.kill(os.getpid(), signal.SIGTERM)
"""
    done = subprocess.run([sys.executable, "-c", program], env={**os.environ}, check=False)
    assert done.returncode != 0
    assert numbers(GrowingDemonstration(tmp_path / "a.demo").more()) == [0, 1, 2, 3]


def test_closing_twice_does_nothing(tmp_path):
    recorder = DemonstrationRecorder(tmp_path / "a.demo", "B", SPEC)
    record(recorder, 1)
    recorder.close()
    recorder.close()
    assert len(read(tmp_path / "a.demo")) == 1


def test_a_recording_that_is_there_is_replaced_only_if_asked(tmp_path):
    file = tmp_path / "mine.demo"
    file.write_bytes(b"mine")
    with pytest.raises(DemonstrationException, match=r"mine\.demo is there already; name another file"):
        DemonstrationRecorder(file, "B", SPEC)
    assert file.read_bytes() == b"mine"
    DemonstrationRecorder(file, "B", SPEC, overwrite=True).close()
    assert file.read_bytes() != b"mine"
