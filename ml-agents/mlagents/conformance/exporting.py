"""Questions about the model that is played in Unity: it must play as the policy does."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import torch

from mlagents.conformance.fault import Fault
from mlagents.conformance.lesson import asked, random_mask, seasoned, told
from mlagents.conformance.subject import Subject
from mlagents.conformance.tasks import Array
from mlagents.data.experience import PolicyInput
from mlagents.export.export import build
from mlagents.nn.distributions import EpsilonGreedy
from mlagents.nn.policy import Policy
from mlagents_envs.base_env import ActionSpec

NEAR = 1e-3  # between a number of the policy and one of the model
DRAWS = 4000
DEVIATIONS = 5  # between two frequencies or means of so many draws, at most
HALVES = ("continuous", "discrete")


def the_exported_deterministic_output_is_the_greedy_choice(subject: Subject, actions: ActionSpec) -> None:
    """Play the model beside the policy, several times, for one agent and for many."""
    trainer, task = seasoned(subject, actions)
    play = _Model(trainer.policy)
    for n in (1, 4, 64):
        input = _masked(asked(task, n, np.random.default_rng(n)), actions)
        greedy = told(trainer.policy, trainer.policy.act(input, explore=False).action)
        for turn in range(3):
            for half, said in play(input, "deterministic_").items():
                off = int((np.abs(said - getattr(greedy, half)) > NEAR).any(1).sum())
                if off:
                    raise Fault(
                        f"deterministic_{half}_actions of the exported model must be the greedy choice, but at run "
                        f"{turn + 1} {off} of {n} agents do something else; usually it is drawn at random, or `act` "
                        "says something else than the body and the head, which are what is exported"
                    )


def the_exported_sampled_output_is_distributed_like_the_policy(subject: Subject, actions: ActionSpec) -> None:
    """Draw many times for one agent, from the policy and from the model."""
    trainer, task = seasoned(subject, actions)
    policy, play = trainer.policy, _Model(trainer.policy)
    for seed in range(2):
        one = _masked(asked(task, 1, np.random.default_rng(seed)), actions)
        many = one[torch.zeros(DRAWS, dtype=torch.int64)]
        samples = not isinstance(policy.distribution(one), EpsilonGreedy)  # of values, the model takes the best twice
        mine = told(policy, policy.act(many, explore=samples).action)
        theirs = play(many, "")
        if actions.continuous_size:
            _alike(mine.continuous, theirs["continuous"], "a mean of continuous_actions")
            _alike(mine.continuous**2, theirs["continuous"] ** 2, "a mean square of continuous_actions")
        for branch, size in enumerate(actions.discrete_branches):
            once = np.eye(size)
            how_often = f"how often a choice of branch {branch} is taken"
            _alike(once[mine.discrete[:, branch]], once[theirs["discrete"][:, branch]], how_often)


def _alike(mine: Array, theirs: Array, what: str) -> None:
    """Raise Fault if two tables of draws do not have the same means, as far as chance lets one tell."""
    error = np.sqrt((mine.var(0) + theirs.var(0)) / DRAWS)
    off = np.abs(mine.mean(0) - theirs.mean(0))
    worst = int((off - DEVIATIONS * error).argmax())
    if off[worst] > DEVIATIONS * error[worst] + 2e-3:
        raise Fault(
            f"the exported model must be distributed like the policy, but {what} is {theirs.mean(0)[worst]:.3f} where "
            f"the policy has {mine.mean(0)[worst]:.3f}; usually `act` does not sample its distribution, or a policy of "
            "values does not have `EpsilonGreedy` as its distribution"
        )


def _masked(input: PolicyInput, actions: ActionSpec) -> PolicyInput:
    """Forbid some choices at random."""
    mask = random_mask(len(input), actions.discrete_branches, np.random.default_rng(len(input)))
    return PolicyInput(input.obs, torch.from_numpy(mask), input.memory)


class _Model:
    """An exported policy, played by onnxruntime."""

    def __init__(self, policy: Policy) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        onnxruntime.set_seed(7)
        model = build(policy).SerializeToString()
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._outputs = {output.name for output in self._session.get_outputs()}
        self._inputs = {input.name for input in self._session.get_inputs()}

    def __call__(self, input: PolicyInput, kind: str) -> dict[str, Array]:
        """Return what each half of the actions says; kind: what its name begins with."""
        feeds: dict[str, Any] = {f"obs_{i}": column.numpy() for i, column in enumerate(input.obs)}
        if "action_masks" in self._inputs:
            feeds["action_masks"] = input.mask.numpy().astype(np.float32)
        halves = [half for half in HALVES if f"{kind}{half}_actions" in self._outputs]
        said = self._session.run([f"{kind}{half}_actions" for half in halves], feeds)
        return dict(zip(halves, said, strict=True))
