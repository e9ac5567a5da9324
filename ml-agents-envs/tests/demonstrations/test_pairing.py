"""The header and the first record of a file determine which action its records hold, unless the reader does."""

import logging

import pytest

from mlagents_envs.demonstrations.file import read
from mlagents_envs.demonstrations.growing import GrowingDemonstration

from .conftest import header, pieces, record, reference, write_file

OLD = {"behavior": "TryLearning", "typed": False, "sizes": True}


def written(path, *, continuous=False, first=2, typed_actions=False, episodes=((1, 2, 0), (2, 1)), **head):
    """Write episodes of choices; place k holds its number. first: the action of the first record."""
    records, number = [], 0
    for choices in episodes:
        for k, choice in enumerate(choices):
            choice = first if number == 0 else choice
            key = ("continuous" if continuous else "discrete") if typed_actions else "deprecated"
            records.append(record([[number]], reward=number, done=k == len(choices) - 1, **{key: [choice]}))
            number += 1
    kinds = {"continuous": 1} if continuous else {"branches": (3,)}
    return write_file(path, header(**kinds, **{**OLD, **head}), records)


def actions(demonstration):
    action = demonstration.transitions().action
    return [*action.continuous.flatten().tolist(), *action.discrete.flatten().tolist()]


@pytest.mark.parametrize(
    ("name", "old"),
    [("Expert3DBall", True), ("Expert3DBallHard", True), ("ExpertBasic", True), ("ExpertPushBlock", False), ("ExpertPyramid", False)],
)  # fmt: skip
def test_recordings_made_in_unity_are_told_apart(name, old, caplog):
    with caplog.at_level(logging.INFO, "mlagents_envs"):
        auto = read(reference(name))
    assert actions(auto) == actions(read(reference(name), align="old" if old else "unity"))
    assert actions(auto) != actions(read(reference(name), align="unity" if old else "old"))
    assert ("as very old recorders did" in caplog.messages[0]) == old


@pytest.mark.parametrize("continuous", [True, False])
def test_a_file_with_all_signs_of_very_old_recorders_holds_the_action_taken_from_a_record(tmp_path, continuous):
    demonstration = read(written(tmp_path / "a.demo", continuous=continuous))
    assert actions(demonstration) == [2, 2, 2]
    action = demonstration.action.continuous if continuous else demonstration.action.discrete
    assert action.flatten().tolist() == [0, 2, 2, 0, 2]  # records as Unity makes them: zeros where an episode begins
    assert demonstration.transitions().record.tolist() == [0, 1, 3]
    assert demonstration.transitions().reward.tolist() == [1, 2, 4]


@pytest.mark.parametrize(
    "sign",
    [
        {"behavior": "Try"}, {"behavior": "TryLearning?team=0"}, {"behavior": "LearningTry"}, {"sizes": False},
        {"first": 0}, {"first": 0, "continuous": True}, {"typed": True, "typed_actions": True},
    ],
    ids=str,
)  # fmt: skip
def test_a_file_that_lacks_one_sign_holds_the_action_that_led_to_a_record(tmp_path, sign):
    assert actions(read(written(tmp_path / "a.demo", **sign))) == [2, 0, 1]


def test_a_recording_that_begins_in_the_middle_of_an_episode_is_still_unitys(tmp_path):
    first = written(tmp_path / "a.demo", first=1, sizes=False, typed=True, typed_actions=True)
    assert actions(read(first)) == [2, 0, 1]


@pytest.mark.parametrize(("align", "taken"), [("unity", [2, 0, 1]), ("old", [1, 2, 2])])
@pytest.mark.parametrize("signs", [{}, {"behavior": "Try"}])
def test_a_setting_wins_over_the_signs(tmp_path, align, taken, signs):
    assert actions(read(written(tmp_path / "a.demo", first=1, **signs), align=align)) == taken


@pytest.mark.parametrize("behavior", ["TryLearning", "Try"])
@pytest.mark.parametrize("cuts", [(0.3, 0.5, 0.7), tuple(k / 97 for k in range(97))])
def test_a_growing_file_is_read_in_one_way_from_its_first_record_to_its_last(tmp_path, behavior, cuts, caplog):
    episodes = [[1, 2, 0, 0, 1], [0], [2, 2, 1, 0], [1, 1]]
    file = written(tmp_path / "a.demo", behavior=behavior, episodes=episodes)
    whole, parts = read(file), []
    caplog.clear()
    with caplog.at_level(logging.INFO, "mlagents_envs"):
        for part in pieces(file, cuts):
            parts += part.action.discrete.flatten().tolist()
    assert parts == whole.action.discrete.flatten().tolist()
    assert [line.count("growing.demo is read as") for line in caplog.messages] == [1]


def test_a_file_of_one_record_has_no_transition_and_one_of_none_is_not_decided(tmp_path, caplog):
    assert actions(read(written(tmp_path / "a.demo", episodes=[[1]]))) == []
    caplog.clear()
    write_file(tmp_path / "b.demo", header(branches=(3,), **OLD), [], closed=False)
    with caplog.at_level(logging.INFO, "mlagents_envs"):
        assert GrowingDemonstration(tmp_path / "b.demo").more() is None
    assert caplog.messages == []


def test_another_recording_in_the_same_place_is_decided_anew(tmp_path, caplog):
    file = written(tmp_path / "a.demo")
    growing = GrowingDemonstration(file)
    with caplog.at_level(logging.INFO, "mlagents_envs"):
        assert actions(growing.more()) == [2, 2, 2]
        written(file, sizes=False, episodes=[[1, 2]])
        assert actions(growing.more()) == [2]
    assert ["as very old" in line for line in caplog.messages] == [True, False]


@pytest.mark.parametrize(
    ("signs", "align", "reason"),
    [
        ({"behavior": "Try"}, "auto", "a.demo is read as Unity records: a record's action led to it (the name of its behavior 'Try' does not end in 'Learning' as in very old files; `align: old` reads it the other way)."),
        ({"sizes": False}, "auto", "(its header lacks the sizes of vector observations that those of very old files have; `align: old` "),
        ({"first": 0}, "auto", "(its first action is zero; `align: old` "),
        ({}, "auto", "a.demo is read as very old recorders did: a record's action was taken from it (the name of its behavior 'TryLearning', sizes of vector observations in its header and a first action that is not zero are their signs; `align: unity` reads it the other way)."),
        ({}, "unity", "as Unity records: a record's action led to it (`align: unity` was given; `align: old` reads it the other way)"),
        ({}, "old", "as very old recorders did: a record's action was taken from it (`align: old` was given; `align: unity` "),
    ],
)  # fmt: skip
def test_the_log_says_once_a_file_what_was_taken_and_why(tmp_path, signs, align, reason, caplog):
    file = written(tmp_path / "a.demo", **signs)
    with caplog.at_level(logging.INFO, "mlagents_envs"):
        read(file, align=align)
    assert len(caplog.messages) == 1
    assert reason in caplog.messages[0]
