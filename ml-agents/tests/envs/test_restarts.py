import pytest

from mlagents.envs.restarts import UNLIMITED, Restarts


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_a_life_has_so_many_restarts(clock):
    restarts = Restarts(lifetime=2, within=UNLIMITED, seconds=60, clock=clock)
    assert [restarts.allow() for _ in range(4)] == [True, True, False, False]


def test_a_window_has_so_many_restarts_and_moves_on(clock):
    restarts = Restarts(lifetime=UNLIMITED, within=1, seconds=60, clock=clock)
    assert restarts.allow()
    clock.now = 59
    assert not restarts.allow()
    clock.now = 61
    assert restarts.allow()
    assert not restarts.allow()


def test_none_is_allowed_where_none_is_granted(clock):
    assert not Restarts(lifetime=0, within=UNLIMITED, seconds=60, clock=clock).allow()
    assert not Restarts(lifetime=UNLIMITED, within=0, seconds=60, clock=clock).allow()


def test_without_limits_there_are_any_number(clock):
    restarts = Restarts(lifetime=UNLIMITED, within=UNLIMITED, seconds=60, clock=clock)
    assert all(restarts.allow() for _ in range(1000))
