"""What was played is what is read, whoever wrote the file and in whatever pieces it comes."""

from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mlagents_envs.base_env import ActionSpec, ActionTuple, BehaviorSpec
from mlagents_envs.demonstrations.file import Transitions, joined, read
from mlagents_envs.demonstrations.recording import DemonstrationRecorder, write
from mlagents_envs.examples.example import vector_sensor

from .conftest import header, pieces, record, write_file

BRANCHES = (3, 2)
SPEC = BehaviorSpec([vector_sensor(2, "near"), vector_sensor(1, "far")], ActionSpec(2, BRANCHES))


@dataclass
class Episode:
    """One agent's life: T decisions; observations and rewards of T + 1 moments; at the last one it may have ended."""

    obs: list  # (T + 1, size) per sensor
    mask: np.ndarray  # (T, 5)
    continuous: np.ndarray  # (T, 2)
    discrete: np.ndarray  # (T, 2)
    reward: np.ndarray  # (T + 1,); the first one comes before any decision
    done: bool
    interrupted: bool

    def __len__(self):
        return len(self.discrete)


def played(lengths, seed, *, unfinished, spec=SPEC):
    """Return episodes of so many decisions; all ended but perhaps the last."""
    rng = np.random.default_rng(seed)
    episodes = []
    for number, length in enumerate(lengths):
        sizes = [sensor.shape[0] for sensor in spec.observation_specs]
        branches, continuous = spec.action_spec.discrete_branches, spec.action_spec.continuous_size
        done = not (unfinished and number == len(lengths) - 1)
        episodes.append(Episode(
            obs=[rng.normal(size=(length + 1, size)).astype(np.float32) for size in sizes],
            mask=rng.random((length, sum(branches))) < 0.7,
            continuous=rng.normal(size=(length, continuous)).astype(np.float32),
            discrete=rng.integers(0, branches, (length, len(branches)), dtype=np.int32),
            reward=rng.normal(size=length + 1).astype(np.float32),
            done=done,
            interrupted=done and bool(rng.random() < 0.5),
        ))  # fmt: skip
    return episodes


def expected(episodes):
    """Return what was played as transitions."""

    def whole(column):
        return np.concatenate([column(episode) for episode in episodes])

    first = np.cumsum([0, *(len(episode) + 1 for episode in episodes[:-1])])
    last = [np.arange(len(episode)) == len(episode) - 1 for episode in episodes]
    sensors = range(len(episodes[0].obs))
    return Transitions(
        record=np.concatenate([start + np.arange(len(it)) for start, it in zip(first, episodes, strict=True)]),
        obs=tuple(whole(lambda it, i=i: it.obs[i][:-1]) for i in sensors),
        mask=whole(lambda it: it.mask),
        action=ActionTuple(whole(lambda it: it.continuous), whole(lambda it: it.discrete)),
        reward=whole(lambda it: it.reward[1:]),
        done=np.concatenate([end & it.done for end, it in zip(last, episodes, strict=True)]),
        interrupted=np.concatenate([end & it.interrupted for end, it in zip(last, episodes, strict=True)]),
        next_obs=tuple(whole(lambda it, i=i: it.obs[i][1:]) for i in sensors),
    )


def assert_same(rows, other, *, numbered=True):
    for name in ("mask", "reward", "done", "interrupted", *(["record"] if numbered else [])):
        assert np.array_equal(getattr(rows, name), getattr(other, name)), name
    columns = [(*it.obs, *it.next_obs, it.action.continuous, it.action.discrete) for it in (rows, other)]
    assert all(np.array_equal(one, two) for one, two in zip(*columns, strict=True))


def recorded_by_us(path, episodes):
    """Play with our recorder: what was given, and what was just done, before each new decision."""
    with DemonstrationRecorder(path, "B", SPEC) as recorder:
        action = [0.25, 0.25], [1, 1]  # of whatever came before
        for it in episodes:
            for k in range(len(it) + 1):
                ends = it.done and k == len(it)
                mask = it.mask[k] if k < len(it) else None
                recorder.record(
                    [column[k] for column in it.obs], it.reward[k], *action, mask=mask, done=ends,
                    interrupted=ends and it.interrupted,
                )  # fmt: skip
                if k < len(it):
                    action = it.continuous[k], it.discrete[k]
    return path


def recorded_long_ago(path, episodes):
    """Write choices as very old recorders did: with the record they were taken from, and any where an episode ended."""
    records = []
    for it in episodes:
        for k in range(len(it) + 1):
            ends = it.done and k == len(it)
            forbidden = ~it.mask[k] if k < len(it) else ()
            choice = it.discrete[k] if k < len(it) else [2]
            records.append(record(
                [column[k].tolist() for column in it.obs], reward=it.reward[k], done=ends, interrupted=ends and it.interrupted,
                mask=forbidden, deprecated=choice,
            ))  # fmt: skip
    return write_file(path, header("TryLearning", branches=(3,), typed=False, sizes=True), records)


def rows_of(parts):
    """Return the transitions of parts that follow each other: each needs the record that comes next."""
    whole = None
    for part in parts:
        whole = part if whole is None else joined(whole, part)
    return whole.transitions()


lengths = st.lists(st.integers(1, 6), min_size=1, max_size=8)
cuts = st.lists(st.floats(0, 1), max_size=6)


@settings(deadline=None, max_examples=60)
@given(lengths, cuts, st.booleans(), st.integers(0, 999))
def test_what_we_record_is_what_was_played(tmp_path_factory, lengths, cuts, unfinished, seed):
    folder = tmp_path_factory.mktemp("demo")
    episodes = played(lengths, seed, unfinished=unfinished)
    file = recorded_by_us(folder / "a.demo", episodes)
    assert_same(read(file).transitions(), expected(episodes))
    assert_same(rows_of(pieces(file, cuts)), expected(episodes))
    write(folder / "again.demo", read(file))
    assert_same(read(folder / "again.demo").transitions(), expected(episodes))


@settings(deadline=None, max_examples=60)
@given(lengths, cuts, st.booleans(), st.integers(0, 999))
def test_what_was_recorded_long_ago_is_what_was_played(tmp_path_factory, lengths, cuts, unfinished, seed):
    folder = tmp_path_factory.mktemp("demo")
    spec = BehaviorSpec(SPEC.observation_specs, ActionSpec.create_discrete((3,)))
    episodes = played(lengths, seed, unfinished=unfinished, spec=spec)
    episodes[0].discrete[0] = 1  # a sign
    file = recorded_long_ago(folder / "a.demo", episodes)
    assert_same(read(file).transitions(), expected(episodes))
    assert_same(rows_of(pieces(file, cuts)), expected(episodes))
    write(folder / "again.demo", read(file))  # as Unity records, whatever it was
    assert_same(read(folder / "again.demo", align="unity").transitions(), expected(episodes))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(2, 6), min_size=1, max_size=8), st.integers(0, 999))
def test_the_other_pairing_is_not_what_was_played(tmp_path_factory, lengths, seed):
    episodes = played(lengths, seed, unfinished=False)
    rows = read(recorded_by_us(tmp_path_factory.mktemp("demo") / "a.demo", episodes), align="old").transitions()
    assert not np.array_equal(rows.action.continuous, expected(episodes).action.continuous)
