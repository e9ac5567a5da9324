"""Checks of sensors that only the critic sees."""

from __future__ import annotations

import numpy as np
import torch

from mlagents.algorithms.author import TrainerError
from mlagents.algorithms.trainer import Trainer
from mlagents.conformance.errors import ConformanceError, NotApplicable
from mlagents.conformance.persistence import weights_of
from mlagents.conformance.subject import Subject
from mlagents.conformance.task_env import TaskEnv
from mlagents.conformance.tasks import Array, CopyTask
from mlagents.conformance.training import train
from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.examples.example import vector_sensor

ROWS = 200  # beyond the first update


class PrivilegedTask(CopyTask):
    """A CopyTask with one sensor more, for the critic only: noise, times `scale`."""

    def __init__(self, actions: ActionSpec, scale: float) -> None:
        super().__init__(actions)
        self.scale = scale
        sensors = [*self.spec.observation_specs, vector_sensor(1, "privileged_noise")]
        self.spec = BehaviorSpec(sensors, actions)

    def observe(self, state: Array) -> tuple[Array, ...]:
        """Return one (n, size) float32 per sensor."""
        return (*super().observe(state), (self.scale * state[:, -1:]).astype(np.float32))


def what_only_the_critic_sees_is_learned_from(subject: Subject, actions: ActionSpec) -> None:
    """Train twice, with other numbers on a sensor for the critic only: some weight must differ."""
    if not subject.capabilities.asymmetric:
        raise NotApplicable("its `capabilities` exclude sensors for the critic only")
    quiet, noisy = (dict(weights_of(_trained(subject, actions, scale))) for scale in (0.0, 1.0))
    if all(torch.equal(weight, noisy[name]) for name, weight in quiet.items()):
        raise ConformanceError(
            "a sensor that only the critic sees must be learned from, but all weights are the same whatever it shows; "
            "usually the policy is all that learns, as in DQN: write Capabilities(asymmetric=False), and such a run is "
            "refused; or the critic's network is made with unseen=setup.critic_only"
        )


def _trained(subject: Subject, actions: ActionSpec, scale: float) -> Trainer:
    task = PrivilegedTask(actions, scale)
    try:
        trainer = subject.trainer(task.spec)
    except TrainerError as error:
        raise NotApplicable(f"such a run is refused: {error}") from error
    train(trainer, TaskEnv(task, 16, seed=2), subject.warm_up() + ROWS)
    return trainer
