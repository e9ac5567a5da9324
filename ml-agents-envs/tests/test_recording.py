"""A demonstration that is being made can be followed: every record once, as soon as it is whole."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.demonstration import HEADER, read
from mlagents_envs.examples.example import vector_sensor
from mlagents_envs.exception import DemonstrationException
from mlagents_envs.growing import GrowingDemonstration
from mlagents_envs.recording import DemonstrationRecorder

SPEC = BehaviorSpec([vector_sensor(2, "seen")], ActionSpec(1, (3,)))


def record(recorder, number, **flags):
    recorder.record([np.full(2, number, np.float32)], float(number), np.array([0.5]), np.array([number % 3]), **flags)


def numbers(demonstration):
    return [] if demonstration is None else demonstration.obs[0][:, 0].astype(int).tolist()


def made(path, n):
    with DemonstrationRecorder(path, "B", SPEC) as recorder:
        for number in range(n):
            record(recorder, number, done=number % 4 == 3)
    return path.read_bytes()


def test_what_is_recorded_is_read_again(tmp_path):
    with DemonstrationRecorder(tmp_path / "long_name_of_a_take.demo", "B?team=1", SPEC) as recorder:
        record(recorder, 1, mask=np.array([True, False, True]))
        record(recorder, 2, done=True, interrupted=True)
    again = read(tmp_path / "long_name_of_a_take.demo")
    assert (again.name, again.behavior, again.spec) == ("long_name_of_a_t", "B?team=1", SPEC)
    assert again.reward.tolist() == [1.0, 2.0]
    assert again.done.tolist() == again.interrupted.tolist() == [False, True]
    assert again.mask.tolist() == [[True, False, True], [True, True, True]]
    assert again.action.discrete.tolist() == [[1], [2]]


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
