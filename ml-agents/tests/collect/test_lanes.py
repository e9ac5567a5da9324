import numpy as np

from mlagents.collect.lanes import Lanes


def test_an_agent_keeps_its_lane():
    lanes = Lanes()
    seat = lanes.seat(np.array([30, 10, 20]))
    assert seat.tolist() == [0, 1, 2]
    assert lanes.find(np.array([10, 20, 30, 40])).tolist() == [1, 2, 0, -1]


def test_a_free_lane_is_given_to_the_next_who_comes():
    lanes = Lanes()
    lanes.seat(np.array([1, 2, 3]))
    lanes.leave(np.array([2]))
    assert lanes.find(np.array([2])).tolist() == [-1]
    assert lanes.seat(np.array([9, 8])).tolist() == [1, 3]
    assert lanes.size == 4


def test_nobody_is_found_in_an_empty_house():
    assert Lanes().find(np.array([1])).tolist() == [-1]


def test_the_lanes_of_a_world_that_is_gone_are_never_given_again():
    lanes = Lanes()
    first, second = 1, 1 << 32 | 1
    lanes.seat(np.array([first, second]))
    assert lanes.retire(1).tolist() == [1]
    assert lanes.find(np.array([first, second])).tolist() == [0, -1]
    assert lanes.seat(np.array([2 << 32 | 1])).tolist() == [2]
