"""A check of reward signals that learn: the kit's own, and those that a trainer adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from mlagents.algorithms.modules import modules_of, state_of
from mlagents.algorithms.trainer import CPU, Trainer
from mlagents.conformance.errors import ConformanceError, NotApplicable
from mlagents.conformance.persistence import difference, saved
from mlagents.conformance.subject import Subject
from mlagents.conformance.task_env import TaskEnv
from mlagents.conformance.tasks import CopyTask
from mlagents.conformance.training import TRAIN_AGENTS, train
from mlagents.rewards.settings import RewardSignalSettings
from mlagents.rewards.signal import Extrinsic, RewardSignal, SignalBatch, SignalSetup
from mlagents_envs.base_env import ActionSpec, BehaviorSpec


class Probe(RewardSignal):
    """A signal that learns to give nothing, and counts how often it is asked."""

    def __init__(self, setup: SignalSetup, settings: Any) -> None:
        super().__init__(setup, settings)
        self.network = nn.Linear(sum(sensor.shape[0] for sensor in setup.spec.observation_specs), 1)
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=1e-2)
        self.asked = 0

    def evaluate(self, batch: SignalBatch) -> Tensor:
        self.asked += 1
        reward: Tensor = self.network(torch.cat(batch.rows.input.obs, 1))[:, 0]
        return reward

    def update(self, batch: SignalBatch) -> Mapping[str, float]:
        loss = self.evaluate(batch).pow(2).mean()
        self.asked -= 1
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return {"Losses/Probe Loss": loss.item()}


def reward_signals_that_learn_are_updated_and_saved(subject: Subject, actions: ActionSpec) -> str:
    """Train with a signal that learns, beside the environment's reward where several are taken."""
    if getattr(subject.settings(), "n_step", 1) > 1:
        raise NotApplicable("signals that learn judge single rows, and n_step is more than 1")
    task = CopyTask(actions)
    trainer = subject.trainer(task.spec, signals=_signals(subject, task.spec))
    before = {signal.name: deepcopy(state_of(modules_of(signal))) for signal in _signals_of(trainer) if signal.learns}
    if not before:
        raise NotApplicable("its make_signals takes no signal that learns")
    rows = subject.warm_up() + 600
    behavior = train(trainer, TaskEnv(task, TRAIN_AGENTS, seed=subject.seed), rows).behavior
    other = subject.trainer(task.spec, signals=_signals(subject, task.spec), seed=9)
    other.load_state_dict(saved(behavior))
    for mine, theirs in zip(_signals_of(trainer), _signals_of(other), strict=True):
        if not mine.learns:
            continue
        if isinstance(mine, Probe) and not mine.asked:
            raise ConformanceError(
                f"within {rows} rows the signal '{mine.name}' must be asked for rewards, but was not; usually "
                "`targets` takes the environment's reward only"
            )
        after = state_of(modules_of(mine))
        if difference(before[mine.name], after) is None:
            raise ConformanceError(
                f"within {rows} rows the signal '{mine.name}' must be updated, but its networks are as they were; "
                "usually a `descend` of one's own does not call update_signals(rows)"
            )
        if place := difference(after, state_of(modules_of(theirs)), mine.name):
            raise ConformanceError(f"a checkpoint must hold the networks of signals, but {place} differs after it was "
                                   "loaded; usually `modules` or `load_state_dict` leaves them out")  # fmt: skip
    return ", ".join(before)


def _signals(subject: Subject, spec: BehaviorSpec) -> list[RewardSignal]:
    probe = Probe(SignalSetup("probe", spec, CPU, torch.Generator()), RewardSignalSettings(gamma=0.9, strength=0.1))
    own = [Extrinsic(gamma=0.9, strength=1.0)] if subject.capabilities.several_signals else []
    return [*own, probe]


def _signals_of(trainer: Trainer) -> Sequence[RewardSignal]:
    """Return the signals of a trainer; one that extends no template may have none."""
    found: Sequence[RewardSignal] = getattr(trainer, "signals", ())
    return found
