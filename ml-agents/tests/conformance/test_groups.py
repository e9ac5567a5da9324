"""MA-POCA passes the checks in which groups, memory of rollouts and several signals matter; who promises too much fails."""

import numpy as np
import pytest

from mlagents.algorithms.capabilities import Capabilities
from mlagents.algorithms.ppo import PPOTrainer
from mlagents.conformance import ConformanceError, checks
from mlagents.conformance.group_task import SacrificeEnv
from mlagents.conformance.learning import a_member_that_ends_is_credited_with_what_its_group_earns_later
from mlagents.conformance.subject import CONTINUOUS, ONE_BRANCH, Subject
from mlagents.plugins.catalog import Kind
from mlagents_envs.base_env import ActionTuple

TRIED = [
    ("a member that ends is credited", ONE_BRANCH),
    ("a resumed trainer equals one", CONTINUOUS),
    ("an interruption is not", CONTINUOUS),
    ("reward signals that learn", ONE_BRANCH),
]  # `mlagents-plugin check poca` runs them all
CHECKS = [
    check for check in checks("poca") if any(str(check).startswith(words) and check.space is space for words, space in TRIED)
]


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_poca_conforms(check):
    check()


def test_an_agent_that_learns_from_what_it_lives_to_see_is_noticed():
    class Promises(PPOTrainer):
        capabilities = Capabilities(groups=True)

    subject = Subject(Kind("promises", "here", Promises.Settings, lambda: Promises))
    with pytest.raises(ConformanceError, match="usually the rows of a member that ended get only what was earned"):
        a_member_that_ends_is_credited_with_what_its_group_earns_later(subject, ONE_BRANCH.actions)


def test_the_task_pays_the_group_for_the_one_that_leaves_and_each_for_staying():
    env = SacrificeEnv(ONE_BRANCH.actions, 2, seed=3)
    first = env.reset()
    sizes = [int((first.group == group).sum()) for group in (1, 2)]
    choice = np.zeros((sum(sizes), 1), np.int32)
    choice[0] = 1  # the one with the key of the first group
    steps = env.step(ActionTuple(np.zeros((sum(sizes), 0), np.float32), choice))
    assert steps.done.tolist() == [True] + [False] * (sum(sizes) - 1)
    assert steps.reward.tolist() == pytest.approx([0.0] + [env.TEMPTATION] * (sum(sizes) - 1))
    for _ in range(env.LENGTH - 1):
        none = np.zeros((int((~steps.done).sum()), 1), np.int32)
        steps = env.step(ActionTuple(np.zeros((len(none), 0), np.float32), none))
    paid = dict(zip(steps.group[steps.done].tolist(), steps.group_reward[steps.done].tolist(), strict=True))
    assert paid == {1: 1.0, 2: 0.0}
    assert env.opened[:2] == [1.0, 0.0] and env.left[:2] == [0.0, 0.0]
