"""Demonstrations that are made by hand."""

import numpy as np
import pytest

from mlagents_envs.base_env import ActionSpec, ActionTuple, BehaviorSpec
from mlagents_envs.demonstrations.file import Demonstration
from mlagents_envs.examples.example import vector_sensor

SPEC = BehaviorSpec([vector_sensor(1, "place")], ActionSpec(1, (3,)))


@pytest.fixture
def shown():
    """A function that makes records of episodes, whose observations count on: lengths in records, cut or ended."""

    def make(*lengths, first=0, ends=True, interrupted=()):
        n = sum(lengths)
        done = np.zeros(n, bool)
        done[np.cumsum(lengths) - 1] = True
        done[-1] &= ends
        cut = np.zeros(n, bool)
        cut[[np.cumsum(lengths)[episode] - 1 for episode in interrupted]] = True
        number = np.arange(first, first + n)
        mask = np.ones((n, 3), bool)
        mask[:, 2] = number % 2 == 0
        return Demonstration(
            name="try", behavior="B", spec=SPEC, obs=(number[:, None].astype(np.float32),),
            reward=number.astype(np.float32), done=done, interrupted=cut, mask=mask,
            action=ActionTuple((number[:, None] / 100).astype(np.float32), (number[:, None] % 3).astype(np.int32)),
        )  # fmt: skip

    return make
