"""Where demonstrations come from: files, folders, patterns, and what is still being made."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from mlagents.demonstrations import sources
from mlagents.demonstrations.settings import SourceSettings
from mlagents.demonstrations.sources import LiveSource, incompatibility, make_source
from mlagents_envs.base_env import ActionSpec, BehaviorSpec, DimensionProperty, ObservationSpec, ObservationType
from mlagents_envs.communicator_objects.brain_parameters_pb2 import BrainParametersProto
from mlagents_envs.demonstrations.layout import delimited
from mlagents_envs.demonstrations.recording import DemonstrationRecorder, write
from mlagents_envs.examples.example import vector_sensor
from mlagents_envs.exception import DemonstrationException
from mlagents_envs.wire.specs import brain_parameters

from .conftest import SPEC


class Clock:
    now = 0.0

    def __call__(self):
        self.now += 1.0  # a look is always due
        return self.now


def numbers(pieces):
    return [number for piece in pieces for number in piece.records.obs[0].flatten().tolist()]


def record(recorder, number, **flags):
    recorder.record([np.array([number])], 0.0, np.array([0.0]), np.array([0]), **flags)


@pytest.mark.parametrize("path", ["a.demo", "folder", "folder/*.demo"])
def test_a_file_a_folder_and_a_pattern_are_read_once(shown, tmp_path, path):
    (tmp_path / "folder").mkdir()
    write(tmp_path / "a.demo", shown(2))
    write(tmp_path / "folder" / "b.demo", shown(2, first=5))
    write(tmp_path / "folder" / "c.demo", shown(2, first=8))
    source = make_source(SourceSettings(file=str(tmp_path / path)), SPEC)
    assert numbers(source.poll()) == ([0, 1] if path == "a.demo" else [5, 6, 8, 9])
    assert source.poll() == []
    assert source.name == f"file:{tmp_path / path}"


def test_a_file_of_other_agents_says_which_sensor_or_action_differs(shown, tmp_path):
    write(tmp_path / "a.demo", shown(2))
    own = BehaviorSpec([vector_sensor(4, "place")], SPEC.action_spec)
    with pytest.raises(DemonstrationException, match=r"a\.demo does not fit this behavior: sensor 0 'place' has shape"):
        make_source(SourceSettings(file=str(tmp_path / "a.demo")), own)


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (SPEC, None),
        (BehaviorSpec([vector_sensor(1, "a"), vector_sensor(1, "b")], SPEC.action_spec), "it has 1 sensors; the behavior has 2"),
        (BehaviorSpec([vector_sensor(2, "place")], SPEC.action_spec), r"sensor 0 'place' has shape (1,) there; the behavior's has (2,)"),
        (BehaviorSpec(SPEC.observation_specs, ActionSpec(2, (3,))), "it has 1 continuous actions; the behavior has 2"),
        (BehaviorSpec(SPEC.observation_specs, ActionSpec(1, (3, 2))), "its discrete branches are (3,); the behavior's are (3, 2)"),
    ],
)  # fmt: skip
def test_what_differs_is_named(own, words):
    assert incompatibility(SPEC, own) == words


def test_a_file_that_is_still_being_made_is_followed(tmp_path):
    source = LiveSource(str(tmp_path / "a.demo"), SPEC, clock=Clock())
    assert source.poll() == []
    with DemonstrationRecorder(tmp_path / "a.demo", "B", SPEC) as recorder:
        record(recorder, 1)
        assert numbers(source.poll()) == [1]
        assert source.poll() == []
        record(recorder, 2)
        record(recorder, 3)
        (piece,) = source.poll()
        assert numbers([piece]) == [2, 3]
        assert not piece.finished
        record(recorder, 4, done=True)
    assert source.poll()[0].finished


def test_files_that_fall_into_a_folder_are_taken_as_they_come(shown, tmp_path):
    source = LiveSource(str(tmp_path / "later"), SPEC, clock=Clock())
    assert source.poll() == []
    (tmp_path / "later").mkdir()
    write(tmp_path / "later" / "a.demo", shown(2))
    assert numbers(source.poll()) == [0, 1]
    write(tmp_path / "later" / "b.demo", shown(2, first=5))
    (tmp_path / "later" / "notes.txt").write_text("no demonstration")
    assert numbers(source.poll()) == [5, 6]


def test_it_is_not_looked_at_more_than_twice_a_second(shown, tmp_path):
    times = iter([0.0, 0.0, 0.1, 0.2, 0.7, 0.8])
    write(tmp_path / "a.demo", shown(2))
    source = LiveSource(str(tmp_path), SPEC, clock=lambda: next(times))
    assert len(source.poll()) == 1
    write(tmp_path / "b.demo", shown(2))
    assert source.poll() == []
    assert len(source.poll()) == 1


@pytest.mark.parametrize("damage", ["other agents", "garbage"])
def test_what_cannot_be_used_is_told_of_once_and_left_out(shown, tmp_path, caplog, damage):
    source = LiveSource(str(tmp_path), SPEC, clock=Clock())
    other = replace(shown(2), obs=(np.zeros((2, 7), np.float32),), spec=BehaviorSpec([vector_sensor(7, "x")], SPEC.action_spec))
    write(tmp_path / "a.demo", other)
    if damage == "garbage":
        (tmp_path / "a.demo").write_bytes(b"\xff" * 200)
    write(tmp_path / "b.demo", shown(2))
    with caplog.at_level(logging.WARNING):
        assert numbers(source.poll()) == [0, 1]
        source.poll()
    assert [record.getMessage().count("a.demo") for record in caplog.records] == [1]
    assert "skipped" in caplog.text


def test_a_file_that_turns_out_damaged_is_left_out_and_what_it_gave_stays(tmp_path, caplog):
    source = LiveSource(str(tmp_path), SPEC, clock=Clock())
    with DemonstrationRecorder(tmp_path / "a.demo", "B", SPEC) as recorder:
        for number in range(3):
            record(recorder, number)
        assert numbers(source.poll()) == [0, 1, 2]
        file = tmp_path / "a.demo"
        place = file.read_bytes()
        record(recorder, 4)
        file.write_bytes(place + file.read_bytes()[len(place) :].replace(np.float32(4).tobytes(), np.float32(np.inf).tobytes()))
        with caplog.at_level(logging.WARNING):
            assert source.poll() == []
            assert source.poll() == []
    assert caplog.messages == [
        f"{file}: record 3 has inf in sensor 0 'place'; numbers must be finite and within 1e+15; it is skipped."
    ]


@pytest.mark.parametrize("kind", ["file", "live"])
@pytest.mark.parametrize(("align", "led_here"), [("auto", True), ("unity", True), ("old", False)])
def test_a_source_says_which_action_its_records_hold(shown, tmp_path, monkeypatch, kind, align, led_here):
    monkeypatch.setattr(sources, "POLL_INTERVAL", -1.0)
    write(tmp_path / "a.demo", shown(4))
    source = make_source(SourceSettings(**{kind: str(tmp_path / "a.demo")}, align=align), SPEC)
    (piece,) = source.poll()
    assert piece.records.transitions().action.discrete.flatten().tolist() == ([1, 2, 0] if led_here else [0, 1, 2])


@pytest.mark.parametrize("kind", ["file", "live"])
@pytest.mark.parametrize("images", ["auto", "channels_first", "channels_last"])
def test_a_source_says_how_its_images_lie(tmp_path, monkeypatch, caplog, kind, images):
    monkeypatch.setattr(sources, "POLL_INTERVAL", -1.0)
    camera = ObservationSpec(
        (2, 1, 3), (DimensionProperty.NONE, *[DimensionProperty.TRANSLATIONAL_EQUIVARIANCE] * 2), ObservationType.DEFAULT, "eye"
    )
    spec = BehaviorSpec([camera], SPEC.action_spec)
    with DemonstrationRecorder(tmp_path / "a.demo", "B", spec) as recorder:
        recorder.record([np.arange(6).reshape(2, 1, 3)], 0.0)
    with caplog.at_level(logging.WARNING):
        (piece,) = make_source(SourceSettings(**{kind: str(tmp_path / "a.demo")}, images=images), spec).poll()
    seen = [[0, 2, 4], [1, 3, 5]] if images == "channels_last" else [[0, 1, 2], [3, 4, 5]]
    assert piece.records.obs[0][0, :, 0].tolist() == seen
    assert ["a.demo: sensor 0 'eye'" in line for line in caplog.messages] == [True] * (images == "auto")


@pytest.mark.parametrize("kind", ["file", "live"])
def test_actions_that_a_header_leaves_out_are_those_of_the_behavior(tmp_path, monkeypatch, kind):
    # as Unity records Match3, whose actions come from an actuator component
    monkeypatch.setattr(sources, "POLL_INTERVAL", -1.0)
    spec = BehaviorSpec(SPEC.observation_specs, ActionSpec(0, (5,)))
    with DemonstrationRecorder(tmp_path / "a.demo", "B", spec) as recorder:
        for choice in (0, 4):
            recorder.record([np.zeros(1)], 0.0, discrete=[choice])
    whole, data = brain_parameters("B", spec.action_spec), (tmp_path / "a.demo").read_bytes()
    whole.ClearField("is_training")
    assert data.count(delimited(whole)) == 1
    (tmp_path / "a.demo").write_bytes(data.replace(delimited(whole), delimited(BrainParametersProto(brain_name="B"))))
    (piece,) = make_source(SourceSettings(**{kind: str(tmp_path / "a.demo")}), spec).poll()
    assert piece.records.transitions().action.discrete.tolist() == [[4]]


def test_settings_of_a_source_are_saved_only_where_they_say_something():
    assert SourceSettings(file="a").model_dump() == {"file": "a"}
    assert SourceSettings(live="a", align="old", images="channels_last").model_dump() == {
        "live": "a", "align": "old", "images": "channels_last",
    }  # fmt: skip


@pytest.mark.parametrize(("given", "words"), [({}, "names no place"), ({"align": "old"}, "names no place"), ({"file": "a", "live": "b"}, "has file and live")])
def test_a_source_is_one_thing(given, words):
    with pytest.raises(ValueError, match=f"{words}; must have one of file, live"):
        SourceSettings(**given)
