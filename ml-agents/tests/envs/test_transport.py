"""A pool does not depend on where its environments are: the same ticks from threads as from processes."""

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mlagents.envs.pool import EnvLost
from mlagents.envs.restarts import UNLIMITED, Restarts
from mlagents.envs.transport import Processes
from mlagents.envs.workers import WorkerPool
from mlagents_envs.base_env import ActionTuple

sys.path.insert(0, str(Path(__file__).parent))
from doubles import NAME, World
from threads import Threads


def ticks(pool, n):
    """Return the first n ticks of each of two environments: their rows, with agents answered by what they see."""
    found = {0: [], 1: []}
    while min(map(len, found.values())) < n:
        step = pool.recv().get(NAME)
        if step is None:
            continue
        rows = np.concatenate([step.agent[:, None], step.obs[0], step.reward[:, None], step.done[:, None]], 1)
        for env_id in np.unique(step.agent >> 32):
            found.setdefault(int(env_id), []).append(rows[step.agent >> 32 == env_id].tolist())
        seen = step.obs[0][~step.done]
        pool.send({NAME: ActionTuple(seen[:, 1:2] + 0.5, np.zeros((len(seen), 2), np.int32))})
        if len(found) > 2:  # one of them was started again
            del found[min(found)]
    return {env_id: rows[:n] for env_id, rows in found.items()}


def pool_of(make, transports, lifetime=0):
    restarts = partial(Restarts, lifetime=lifetime, within=UNLIMITED, seconds=60)
    return WorkerPool(make, 2, restarts, transports)


def test_threads_give_the_ticks_that_processes_give():
    found = []
    for transports in (Threads(), Processes()):
        pool = pool_of(World(agents=3), transports)
        try:
            pool.reset({"more": 2})
            found.append(ticks(pool, 7))
        finally:
            pool.close()
    assert found[0] == found[1]
    assert {env_id: len(rows[0]) for env_id, rows in found[0].items()} == {0: 5, 1: 5}


@pytest.mark.parametrize("lifetime", [0, 1])
def test_an_environment_that_fails_in_a_thread_is_started_again_while_it_may(tmp_path, lifetime):
    pool = pool_of(World("fail", at=3, flag=str(tmp_path / "once")), Threads(), lifetime)
    try:
        pool.reset()
        if not lifetime:
            with pytest.raises(EnvLost, match="it said nothing"):
                ticks(pool, 10)
            return
        ticks(pool, 10)
        assert list(pool.lost()) == [0]
    finally:
        pool.close()


def test_a_pool_whose_environments_are_silent_returns_nothing():
    pool = pool_of(World(), Threads())
    try:
        assert pool.recv() == {}  # nobody was asked for anything yet
    finally:
        pool.close()
