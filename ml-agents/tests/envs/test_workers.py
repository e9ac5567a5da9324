"""Environments in processes of their own: what they say comes home, and none takes the others down."""

import logging
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest

from mlagents.envs.pool import EnvLost
from mlagents.envs.restarts import UNLIMITED, Restarts
from mlagents.envs.workers import WorkerPool
from mlagents_envs.base_env import ActionTuple

sys.path.insert(0, str(Path(__file__).parent))
from doubles import NAME, World

NO_LIMIT = partial(Restarts, lifetime=UNLIMITED, within=UNLIMITED, seconds=60)


@pytest.fixture
def make_pool():
    pools = []

    def make(world, count=1, restarts=NO_LIMIT):
        pools.append(WorkerPool(world, count, restarts))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()
    assert not psutil.Process().children(recursive=True) or _only_the_tracker()


def _only_the_tracker():
    return all("resource_tracker" in " ".join(child.cmdline()) for child in psutil.Process().children(recursive=True))


def hear(pool):
    """Wait until someone says something."""
    for _ in range(200):
        said = pool.recv()
        if said:
            return said[NAME]
    raise AssertionError("nobody spoke")


def play(pool, ticks):
    """Answer so many ticks, each agent with its own number; return what was said."""
    said = []
    for _ in range(ticks):
        step = hear(pool)
        said.append(step)
        told = (step.agent[~step.done] & 0xFFFF).astype(np.float32)[:, None]
        pool.send({NAME: ActionTuple(told, np.zeros((len(told), 2), np.int32))})
    return said


def test_one_environment_says_what_it_says_in_process(make_pool):
    pool = make_pool(World())
    pool.reset({"more": 1.0})
    steps = play(pool, 5)
    assert steps[0].agent.tolist() == [0, 1, 2]
    assert steps[0].mask.tolist() == [[True, True, True, True, False]] * 3
    assert steps[0].group.tolist() == [1, 1, 1]
    assert steps[1].obs[0][:, 1].tolist() == [1, 1, 1]
    assert steps[1].obs[0][:, 2].tolist() == [0, 1, 2]  # its own number was told to each
    ended = steps[3]
    assert ended.done.tolist() == [True, False, False, False]
    assert ended.interrupted.tolist() == [True, False, False, False]
    assert ended.agent.tolist() == [0, 1, 2, 3]
    assert ended.reward.tolist() == [9, 0, 1, 2]
    assert ended.obs[0][:, 0].tolist() == [100, 0, 0, 0]


def test_what_was_heard_stays_as_it_is_when_the_world_moves_on(make_pool):
    pool = make_pool(World())
    pool.reset()
    first, second = play(pool, 2)
    assert first.obs[0][:, 1].tolist() == [0, 0]
    assert second.obs[0][:, 1].tolist() == [1, 1]


def test_agents_of_several_environments_are_told_apart_and_answered_each(make_pool):
    pool = make_pool(World(), count=3)
    pool.reset()
    seen = {}
    while len(seen) < 3 or min(seen.values()) < 7:
        (step,) = play(pool, 1)
        assert (np.diff(step.done.astype(int)) <= 0).all()  # ended rows first
        for row in range(len(step.agent)):
            world, agent = step.agent[row] >> 32, step.agent[row] & 0xFFFFFFFF
            assert step.obs[0][row, 0] % 100 == world  # the seed of worker `world`
            assert step.group[row] in (0, world << 32 | 1)
            if not step.done[row] and step.obs[0][row, 1] % 3:
                assert step.obs[0][row, 2] == agent
            seen[world] = max(seen.get(world, 0), step.obs[0][row, 1] % 100)
    assert set(seen) == {0, 1, 2}


def test_who_has_spoken_is_answered_while_another_is_silent(make_pool):
    pool = make_pool(World("slow", at=2), count=2)
    pool.reset()
    steps = {0: 0, 1: 0}
    while steps[0] < 2 or steps[1] < 50:
        for world in set((play(pool, 1)[0].agent >> 32).tolist()):
            steps[world] += 1
    assert steps[0] == 2  # the reset and one step
    pool.close()


def test_room_is_made_when_agents_multiply(make_pool):
    pool = make_pool(World("grow", at=2))
    pool.reset()
    assert [len(step.agent) for step in play(pool, 4)] == [2, 2, 102, 103]


def test_numbers_of_the_environments_arrive_the_most_recent_from_the_first_only(make_pool):
    pool = make_pool(World(), count=2)
    pool.reset()
    stats = []
    while stats.count(("Steps", 1.0, 0)) < 2:
        play(pool, 1)
        stats += pool.stats()
    assert stats.count(("Last", 1.0, 1)) == 1


@pytest.mark.parametrize("fate", ["kill", "fail", "stop"])
def test_an_environment_that_is_gone_is_replaced_by_another_world(make_pool, tmp_path, caplog, fate):
    logging.getLogger("mlagents").propagate = True
    pool = make_pool(World(fate, at=5, flag=str(tmp_path / "once")), count=2)
    pool.reset({"more": 1.0})
    registry, lost = set(), []
    while not {1, 2} <= registry:
        registry |= set((play(pool, 1)[0].agent >> 32).tolist())
        lost += pool.lost()
    assert lost == [0]
    assert registry == {0, 1, 2}
    assert "Restarting worker[0] after" in caplog.text
    after = [step for step in play(pool, 10) if (step.agent >> 32 == 2).any()]
    assert all((step.agent >> 32 == 2).sum() >= 3 for step in after)  # the parameters were told again


def test_two_environments_may_die_at_once(make_pool, tmp_path):
    pool = make_pool(
        World("kill", at=4, victims=(0, 1), flag=str(tmp_path / "once")), count=2,
        restarts=partial(Restarts, lifetime=10, within=1, seconds=60),
    )  # fmt: skip
    pool.reset()
    registry, lost = set(), []
    while not {2, 3} <= registry:
        registry |= set((play(pool, 1)[0].agent >> 32).tolist())
        lost += pool.lost()
    assert sorted(lost) == [0, 1]


def test_when_restarts_are_spent_the_pool_is_lost(make_pool):
    pool = make_pool(World("fail", at=3), restarts=partial(Restarts, lifetime=1, within=UNLIMITED, seconds=60))
    pool.reset()
    with pytest.raises(EnvLost, match="it said nothing") as lost:
        play(pool, 50)
    assert not lost.value.stopped


def test_a_player_that_was_closed_is_no_failure(make_pool):
    pool = make_pool(World("stop", at=3), restarts=partial(Restarts, lifetime=0, within=UNLIMITED, seconds=60))
    pool.reset()
    with pytest.raises(EnvLost) as lost:
        play(pool, 50)
    assert lost.value.stopped


def test_an_environment_that_never_worked_is_not_tried_again(make_pool):
    pool = make_pool(World("never"))
    pool.reset()
    with pytest.raises(EnvLost, match="nobody came"):
        hear(pool)
    pool.close()
    pool.close()


@pytest.mark.skipif(not Path("/dev/shm").exists(), reason="shared memory has no names to look at here")
def test_nothing_is_left_in_shared_memory(make_pool):
    before = set(os.listdir("/dev/shm"))
    pool = make_pool(World(), count=2)
    pool.reset()
    play(pool, 4)
    left = {name for name in set(os.listdir("/dev/shm")) - before if name.startswith("psm_")}
    deadline = time.monotonic() + 20
    while left and time.monotonic() < deadline:  # another test's beside this one have names for a moment
        time.sleep(0.05)
        left &= set(os.listdir("/dev/shm"))
    assert not left


PROGRAM = """
import sys, time
sys.path.insert(0, {folder!r})
from functools import partial
from doubles import NAME, World
from mlagents.envs.restarts import Restarts
from mlagents.envs.workers import WorkerPool

if __name__ == "__main__":
    pool = WorkerPool(World("slow", at=1, victims=(0, 1)), 2, partial(Restarts, lifetime=1, within=1, seconds=1))
    pool.reset()
    while not pool.recv():
        pass
    import psutil
    print(*[child.pid for child in psutil.Process().children(recursive=True)], flush=True)
    time.sleep(3600)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
def test_workers_end_with_a_pool_that_is_killed(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(folder=str(Path(__file__).parent)))
    process = subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE, text=True)
    children = [psutil.Process(int(pid)) for pid in process.stdout.readline().split()]
    assert len(children) >= 2
    process.kill()
    process.wait()
    process.stdout.close()
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive
