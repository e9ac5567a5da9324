import numpy as np

from mlagents.collect.lanes import FreeLanes, Lanes


def test_an_agent_keeps_its_lane():
    lanes = Lanes(FreeLanes())
    seat = lanes.seat(np.array([30, 10, 20]))
    assert seat.tolist() == [0, 1, 2]
    assert lanes.find(np.array([10, 20, 30, 40])).tolist() == [1, 2, 0, -1]


def test_a_free_lane_is_given_to_the_next_who_comes():
    free = FreeLanes()
    lanes = Lanes(free)
    lanes.seat(np.array([1, 2, 3]))
    lanes.leave(np.array([1]))
    assert lanes.find(np.array([2])).tolist() == [-1]
    assert lanes.seat(np.array([9, 8])).tolist() == [1, 3]
    assert free.size == 4


def test_nobody_is_found_where_nobody_sits():
    assert Lanes(FreeLanes()).find(np.array([1])).tolist() == [-1]


def test_agents_of_two_teams_never_share_a_lane():
    free = FreeLanes()
    one, other = Lanes(free), Lanes(free)
    assert one.seat(np.array([1, 2])).tolist() == [0, 1]
    assert other.seat(np.array([1, 2])).tolist() == [2, 3]
    one.leave(np.array([0]))
    assert other.seat(np.array([7])).tolist() == [0]
    assert one.find(np.array([1, 2])).tolist() == [-1, 1]


def test_the_lanes_of_an_environment_are_known():
    lanes = Lanes(FreeLanes())
    lanes.seat(np.array([1, 1 << 32 | 1]))
    assert lanes.environments() == 2
    assert lanes.of_environment(1).tolist() == [1]
