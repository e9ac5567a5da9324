"""Behavioral cloning beside a trainer: its policy is drawn to what was demonstrated.

Pomerleau 1991, doi:10.1162/neco.1991.3.1.88
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

import torch
from torch import Tensor

from mlagents.algorithms.author import TrainerError
from mlagents.algorithms.fit import as_sampled
from mlagents.algorithms.modules import Module
from mlagents.algorithms.schedules import Schedule
from mlagents.algorithms.settings import BehavioralCloningSettings, HyperparamSettings
from mlagents.data.experience import Actions, Experience
from mlagents.data.finite import NotFinite
from mlagents.data.minibatches import minibatches, sequence_minibatches, sequences
from mlagents.demonstrations.recorded import demonstrated_rows, naming_the_key
from mlagents.nn.distributions import Distribution
from mlagents.nn.policy import Policy

NUM_EPOCH = 3  # where neither the settings nor the trainer's have one
DONE = 1e-10  # the learning rate at which imitation has ended


class BehavioralCloning:
    """Descends toward demonstrated actions, with an optimizer and a learning rate of its own."""

    def __init__(
        self, settings: BehavioralCloningSettings, policy: Policy, trainer: HyperparamSettings, *,
        take_step: Callable[[torch.optim.Optimizer, Tensor], None], generator: torch.Generator,
        device: torch.device, sequence_length: int,
    ) -> None:  # fmt: skip
        """trainer: settings that are taken where these have none; take_step: descends a loss.

        sequence_length: rows that one gradient sees of a policy's memory. Raises DemonstrationException.
        """
        with naming_the_key("behavioral_cloning.demo_path"):
            self._recorded = demonstrated_rows(settings.demo_path, policy.spec, device)
        self.policy = policy
        size, self.samples = len(self._recorded), settings.samples_per_update
        self.batch_size = min(settings.batch_size or trainer.batch_size, size)
        own_epochs: int = getattr(trainer, "num_epoch", NUM_EPOCH)
        self.num_epoch = settings.num_epoch or own_epochs
        rate = settings.strength * trainer.learning_rate
        self.learning_rate = Schedule(rate, DONE, settings.steps, linear=settings.steps > 0)
        self.optimizer = torch.optim.Adam(policy.parameters(), lr=rate)
        self._take_step, self._generator, self._sequence_length = take_step, generator, sequence_length

    @cached_property
    def rows(self) -> Experience:
        """What was demonstrated, with the actions that the policy would have sampled; asked for when it is whole."""
        return as_sampled(self.policy, self._recorded)

    def update(self, step: int) -> float:
        """Walk the rows `num_epoch` times and return the mean loss; 0 when imitation has ended. step: of the run."""
        rate = self.learning_rate(step)
        if rate <= DONE:
            return 0.0
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        losses = []
        for _ in range(self.num_epoch):
            for rows in self._minibatches():
                try:
                    loss = self.loss(rows)
                    self._take_step(self.optimizer, loss)
                except NotFinite as error:
                    raise NotFinite(f"behavioral_cloning: {error}").found_in(self.rows[rows]) from None
                losses.append(loss.item())
        return sum(losses) / len(losses)

    def loss(self, rows: Tensor) -> Tensor:
        """Return L = mean |mode - a|^2 over continuous actions - mean log p(choice) over branches; rows: their numbers.

        The mode is taken, not a sample: a sample's error has the policy's variance in it, which would be learned away,
        and with it all exploration.
        """
        batch, continuous = self.rows[rows], self.policy.continuous
        if self.policy.memory_size:
            steps = self.policy.along_sequences(batch.input, self.sequence[rows])
        else:
            steps = iter([(torch.arange(len(batch)), self.policy.distribution(batch.input))])
        total: dict[str, Tensor] = {}
        for where, distribution in steps:
            for name, term in _terms(distribution, batch.output.action[where], continuous).items():
                total[name] = total[name] + term.sum() if name in total else term.sum()
        n = len(batch)
        sizes = {"continuous": n * continuous, "discrete": n * len(self.policy.branches)}
        return torch.stack([term / sizes[name] for name, term in total.items()]).sum()

    @cached_property
    def sequence(self) -> Tensor:
        """(n,) the number of each row's sequence, for memory."""
        rows = self._recorded
        lane = torch.zeros(len(rows), dtype=torch.int64, device=rows.done.device)
        return sequences(lane, rows.done | rows.interrupted, self._sequence_length)

    def modules(self) -> dict[str, Module]:
        """Return what a checkpoint holds of it."""
        return {"Behavioral Cloning Optimizer": self.optimizer}

    def _minibatches(self) -> Iterator[Tensor]:
        """Yield the row numbers of one epoch: of all rows, or of the first batches that hold `samples_per_update`."""
        most = max(self.samples // self.batch_size, 1) if self.samples else len(self._recorded)
        if self.policy.memory_size:
            found = sequence_minibatches(self.sequence, self.batch_size, self._generator)
        else:
            found = minibatches(len(self._recorded), self.batch_size, self._generator)
        for _, rows in zip(range(most), found, strict=False):
            yield rows


def _terms(distribution: Distribution, action: Actions, continuous: int) -> dict[str, Tensor]:
    """Return the errors of each continuous action and each choice, of one kind of actions or both."""
    terms = {}
    if continuous:
        terms["continuous"] = (distribution.mode().continuous - action.continuous).pow(2)
    if action.discrete.shape[1]:
        terms["discrete"] = -distribution.log_prob(action)[:, continuous:]
    for name, asked in (("continuous", "mode()"), ("discrete", "log_prob()")):
        if name in terms and not terms[name].requires_grad:
            raise TrainerError(
                f"behavioral_cloning: {asked} of {type(distribution).__name__} has no gradient, so a policy cannot be "
                "drawn to an action by it; an off-policy trainer may imitate in its own way with `demonstrations` and "
                "its bc_init_steps"
            )
    return terms
