"""Questions about how agents are answered: each for itself, within what is allowed, and the same every time."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch

from mlagents.conformance.fault import Fault
from mlagents.conformance.lesson import HORIZON, LENGTH, asked, random_mask, seasoned, told, train
from mlagents.conformance.subject import Subject
from mlagents.conformance.tasks import Arms, Array, Echo
from mlagents.conformance.world import World, inspect_choices
from mlagents.data.experience import PolicyInput
from mlagents.nn.policy import Actor
from mlagents_envs.base_env import ActionSpec

NEAR = 1e-3  # between numbers that are to be the same: batches of other sizes are summed in another order
TURNS = 40  # times that a policy is asked the same while it explores
CROWDS = (1, 4, 64)  # agents at once


def agents_may_come_and_go(subject: Subject, actions: ActionSpec) -> None:
    """Train with crowds of several sizes that speak in any order and leave in mid-episode, whose ids stay or not."""
    for agents, renew_ids in product(CROWDS, (False, True)):
        rows = subject.warm_up() + 150 + agents * (HORIZON + 2)  # segments as long as HORIZON may still be open
        task = Echo(actions, length=LENGTH)
        trainer = subject.trainer(task.spec, normalize=True)
        before = {name: weight.clone() for name, weight in trainer.policy.named_parameters()}
        lesson = train(trainer, World(task, agents, seed=agents, restless=True, renew_ids=renew_ids), rows)
        after = dict(trainer.policy.named_parameters())
        if not lesson.updates or all(torch.equal(weight, after[name]) for name, weight in before.items()):
            raise Fault(
                f"after {rows} rows of {agents} agents that come and go the policy must have changed, but it is as it "
                "was; usually rows are lost when an agent leaves, or batch_size and buffer_size are larger than that"
            )
        broken = [name for name, weight in after.items() if not torch.isfinite(weight).all()]
        if broken:
            raise Fault(f"weights must be numbers, but after {rows} rows of {agents} agents {broken[0]} has others; "
                        "usually the logarithm of 0 or the deviation of a single row is taken")  # fmt: skip


def every_agent_has_an_action_of_its_own(subject: Subject, actions: ActionSpec) -> None:
    """Ask for 64 agents that see different things, with and without exploring."""
    trainer, task = seasoned(subject, actions)
    input = asked(task, 64, np.random.default_rng(1))
    for explore in [False] + [True] * TURNS:
        said = _told(trainer.policy, input, explore=explore)
        if len(said) != 64:
            raise Fault(f"64 agents must get 64 actions, but got {len(said)}; usually as many are drawn as there are "
                        "sensors, or one for all")  # fmt: skip
        if (np.abs(said - said[0]) < 1e-6).all():
            way = "while exploring" if explore else "without exploring"
            raise Fault(
                f"64 agents that see different things must not all do the same, but {way} all did {said[0].tolist()}; "
                "usually the action of the first agent, or one random action, is given to all"
            )


def the_order_of_agents_changes_nothing(subject: Subject, actions: ActionSpec) -> None:
    """Ask the same agents in another order."""
    trainer, task = seasoned(subject, actions)
    input = asked(task, 64, np.random.default_rng(2))
    order = torch.randperm(64)
    _same(
        _told(trainer.policy, input)[order], _told(trainer.policy, input[order]),
        "in another order", "a row is answered with what another row, or the batch, said",
    )  # fmt: skip


def an_agent_is_answered_as_if_it_were_alone(subject: Subject, actions: ActionSpec) -> None:
    """Ask agents together, by four, and one by one."""
    trainer, task = seasoned(subject, actions)
    input = asked(task, 64, np.random.default_rng(3))
    together = _told(trainer.policy, input)
    for size in (4, 1):
        parts = [_told(trainer.policy, input[start : start + size]) for start in range(0, 64, size)]
        cause = "something is taken over the whole batch (a mean, a deviation), or state is shared between agents"
        _same(together, np.concatenate(parts), f"asked {size} at a time", cause)


def earlier_questions_change_no_answer(subject: Subject, actions: ActionSpec) -> None:
    """Ask the same agents again after others were asked."""
    trainer, task = seasoned(subject, actions)
    draw = np.random.default_rng(4)
    input = asked(task, 64, draw)
    before = _told(trainer.policy, input)
    for n in CROWDS:
        trainer.policy.act(asked(task, n, draw))
    cause = "a policy keeps something from call to call, so that all agents share it; memory goes in and comes out"
    _same(before, _told(trainer.policy, input), "after others were asked", cause)


def a_forbidden_choice_is_never_taken(subject: Subject, actions: ActionSpec) -> None:
    """Forbid choices at random, then those that are liked best; then train where some are forbidden."""
    trainer, task = seasoned(subject, actions)
    draw = np.random.default_rng(5)
    input = asked(task, 256, draw)
    free = trainer.policy.act(input, explore=False).action.discrete.numpy()
    for mask in (random_mask(256, actions.discrete_branches, draw), _all_but(free, actions.discrete_branches)):
        masked = PolicyInput(input.obs, torch.from_numpy(mask), input.memory)
        for explore in [False] + [True] * TURNS:
            choice = trainer.policy.act(masked, explore=explore).action.discrete.numpy()
            inspect_choices(choice, mask, actions.discrete_branches)
    if actions.discrete_size == 1 and not actions.continuous_size:
        arms = Arms()
        train(subject.trainer(arms.spec), World(arms, 16, seed=5, restless=True), 600)


def inference_explores_nothing(subject: Subject, actions: ActionSpec) -> None:
    """Ask twice without exploring; then with it, but of a network that is set to be deterministic."""
    trainer, task = seasoned(subject, actions)
    input = asked(task, 256, np.random.default_rng(6))
    greedy = _told(trainer.policy, input)
    cause = "exploration is drawn without asking `explore`"
    for turn in range(TURNS):
        torch.manual_seed(turn)
        _same(greedy, _told(trainer.policy, input), "asked again with explore=False", cause)
    trainer, task = seasoned(subject, actions, deterministic=True)
    greedy = _told(trainer.policy, input)
    for turn in range(TURNS):
        torch.manual_seed(turn)
        said = _told(trainer.policy, input, explore=True)
        cause = "`act` does not ask `self.deterministic`, so that --deterministic has no effect"
        _same(greedy, said, "asked with network_settings.deterministic", cause)


def a_tick_in_which_nobody_asks_is_answered(subject: Subject, actions: ActionSpec) -> None:
    """Ask for no agents at all, as when all of them end in one tick."""
    trainer, task = seasoned(subject, actions)
    none = asked(task, 0, np.random.default_rng(0))
    for explore in (True, False):
        output = trainer.policy.act(none, explore=explore)
        if len(output) or len(output.action.discrete) or len(output.log_prob):
            raise Fault(f"nobody asked, but {len(output.action.discrete)} agents were answered; usually a row is made "
                        "up where the batch is empty")  # fmt: skip


def _told(policy: Actor, input: PolicyInput, *, explore: bool = False) -> Array:
    """Return (n, C + B) what the world is told."""
    cut = told(policy, policy.act(input, explore=explore).action)
    return np.hstack([cut.continuous, cut.discrete])


def _same(expected: Array, got: Array, when: str, cause: str) -> None:
    """Raise Fault if agents are answered otherwise than before."""
    if expected.shape != got.shape:
        raise Fault(f"{len(expected)} agents must get as many actions {when}, but got {len(got)}; usually {cause}")
    others = (np.abs(expected - got) > NEAR).any(1)
    if others.any():
        raise Fault(
            f"agents must do the same {when}, but {int(others.sum())} of {len(others)} did not; usually {cause}"
        )


def _all_but(choice: Array, branches: tuple[int, ...]) -> Array:
    """Return (n, sum of branch sizes) bool, False at these choices."""
    return ~np.concatenate([np.eye(size, dtype=bool)[choice[:, i]] for i, size in enumerate(branches)], 1)
