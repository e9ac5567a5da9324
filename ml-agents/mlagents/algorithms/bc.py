"""Behavioral cloning alone: a policy comes to do what was demonstrated, and no environment is needed.

Pomerleau 1991, doi:10.1162/neco.1991.3.1.88
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mlagents.algorithms.capabilities import Capabilities
from mlagents.algorithms.fit import Fit, Imitation, as_sampled, fit_of
from mlagents.algorithms.modules import Module
from mlagents.algorithms.settings import BCSettings
from mlagents.algorithms.template import TrainerTemplate
from mlagents.algorithms.trainer import Metrics, State, TrainerSetup
from mlagents.data.experience import Experience
from mlagents.data.finite import check_losses
from mlagents.data.minibatches import Walk, sequences
from mlagents.data.rollout import Tick
from mlagents.demonstrations.recorded import naming_the_key, rows_of
from mlagents.demonstrations.split import Split, drawn_episodes, episodes_of
from mlagents.nn.distributions import ACTION_CLIP
from mlagents.nn.policy import Policy

AT_ONCE = 4096  # held-out rows
log = logging.getLogger(__name__)


@dataclass
class Progress:
    """How far imitation has come, beside its weights."""

    loss: float | None = None  # mean of the newest whole epoch
    best: float | None = None  # smallest held-out loss
    best_step: int = 0  # rows after which that was reached
    stale: int = 0  # epochs since then


class BCTrainer(TrainerTemplate):
    """Maximizes the likelihood of demonstrated actions, and keeps the weights that are best on held-out episodes.

    `learner` takes the gradient steps; `policy` is what it was when its held-out loss was smallest. Where nothing is
    held out, both are one network.
    """

    Settings: ClassVar[type[BCSettings]] = BCSettings
    capabilities: ClassVar[Capabilities] = Capabilities(memory=True, demonstrations=True)

    def __init__(self, setup: TrainerSetup, settings: BCSettings) -> None:
        """A setup without demonstrations makes one that only plays. Raises DemonstrationException."""
        super().__init__(setup, settings)
        self.learned_rows = 0
        """Rows of the newest gradient step."""
        self.progress = Progress()
        self.learner: Policy = self.policy
        self._losses: list[float] = []  # of the present epoch
        self._learns = setup.demonstrations is not None
        if setup.demonstrations is None:
            return
        with naming_the_key("demonstrations"):
            self._shown = as_sampled(self.policy, rows_of(setup.demonstrations.sources, setup.spec, self.device))
        episodes = int(episodes_of(self._shown)[-1]) + 1
        self._hold_out(drawn_episodes(episodes, settings.held_out, self.generator))
        if len(self._split.held_out):
            self.learner = self.make_policy(setup)
            self.learner.generator = self.generator
            self.learner.load_state_dict(self.policy.state_dict())
        self.optimizer = self.make_optimizer(list(self.learner.parameters()))
        for network in {self.policy, self.learner}:
            if network.normalizes:
                network.observe(self._split.learned.input.obs)
        self._describe(episodes)

    # parts that a subclass may replace

    def make_optimizer(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        """Return Adam with decoupled weight decay, of weights only (Loshchilov & Hutter 2019, arXiv:1711.05101)."""
        free = [p for p in parameters if p.dim() < 2 or p is _log_sigma(self.learner)]  # biases, deviations
        kept = {id(p) for p in free}
        groups = [
            {"params": [p for p in parameters if id(p) not in kept], "weight_decay": self.settings.weight_decay},
            {"params": free, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.settings.learning_rate, fused=True)

    def loss(self, fit: Fit) -> Tensor:
        """Return what is descended: L = -mean log p(demonstrated action), over continuous actions and branches."""
        return fit.loss

    # what a run calls

    def learn(self, step: int) -> Metrics:
        """Take one gradient step, and at the end of an epoch measure the held-out episodes. step: rows before it."""
        self._advance_schedules(step)
        numbers = self._walk.next()
        fit = fit_of(self.learner, self._split.learned[numbers], self._sequence[numbers])
        loss = self.loss(fit)
        self.take_step(self.optimizer, loss)
        self._bound_sigma()
        self.learned_rows = len(numbers)
        self._losses.append(loss.item())
        check_losses({"cloning": self._losses[-1]})
        metrics = {
            "Losses/Cloning Loss": self._losses[-1],
            "Policy/Learning Rate": self.now["learning_rate"],
            "Policy/Entropy": fit.entropy.item() / fit.rows,
            **fit.metrics(continuous=self.policy.continuous > 0),
        }
        if (sigma := _log_sigma(self.learner)) is not None and self.policy.continuous:
            metrics["Policy/Sigma"] = sigma.detach().exp().mean().item() / ACTION_CLIP
        if self._walk.between_epochs:
            metrics.update(self._end_epoch(step + self.learned_rows))
        elif self.progress.best is None:
            self._keep()  # what is saved within the first epoch has learned something, too
        return {**metrics, **self._take_recorded()}

    @property
    def imitation(self) -> Imitation | None:
        """How well it fits the demonstrations; None before the first epoch has ended."""
        now = self.progress
        return None if now.loss is None else Imitation(now.loss, now.best, now.best_step)

    @property
    def converged(self) -> bool:
        """Has the held-out loss not fallen for as many epochs as `patience` says?"""
        patience: int = self.settings.patience
        return 0 < patience <= self.progress.stale

    def begin_with(self, policy: Mapping[str, Tensor]) -> None:
        """Begin with the weights of another policy; raises KeyError or RuntimeError where it is another network."""
        self.policy.load_state_dict(policy)
        self.learner.load_state_dict(self.policy.state_dict())

    def receive(self, tick: Tick) -> None:
        """Learn nothing from agents that are played."""

    def close(self, lane: Tensor) -> None:
        """Do nothing: no agent's rows are kept."""

    def forget(self) -> None:
        """Do nothing: no agent's rows are kept."""

    def modules(self) -> dict[str, Module]:
        """As every trainer's; `Policy` has the best weights."""
        found = super().modules()
        return found if self.learner is not self.policy else {k: v for k, v in found.items() if k != "Learner"}

    def state_dict(self) -> State:
        """Return the modules, and where the present epoch stands."""
        state = super().state_dict()
        if self._learns:
            state["imitation"] = {
                "rows": self._split.rows, "share": self.settings.held_out, "held_out": self._split.held_out,
                "losses": list(self._losses), "walk": self._walk.state_dict(), "progress": asdict(self.progress),
            }  # fmt: skip
        return state

    def load_state_dict(self, state: State) -> None:
        """Take what `state_dict` gave; of other demonstrations, or with another share held out, the weights only."""
        super().load_state_dict(state)
        if not self._learns:
            return
        kept: Mapping[str, Any] = state["imitation"]
        if (kept["rows"], kept["share"]) != (self._split.rows, self.settings.held_out):
            log.warning(
                "The demonstrations, or held_out, are others than before: a new epoch begins. Episodes that were "
                "learned from may now be held out, so held-out losses look better than they are."
            )
            return
        self._hold_out(kept["held_out"])
        self._losses = list(kept["losses"])
        self._walk.load_state_dict(kept["walk"])
        self.progress = Progress(**kept["progress"])

    def _hold_out(self, episodes: Tensor) -> None:
        """Hold these episodes out, and begin an epoch of the others."""
        self._split = Split(self._shown, episodes)
        rows = self._split.learned
        ends, n = rows.done | rows.interrupted, len(rows)
        remembers = self.policy.memory_size > 0
        length = self._sequence_length if remembers else 1
        self._sequence = sequences(torch.zeros_like(ends, dtype=torch.int64), ends, length)
        self._walk = Walk(self._sequence if remembers else None, n, self.settings.batch_size, self.generator)

    @torch.no_grad()
    def _end_epoch(self, step: int) -> Metrics:
        """Measure the held-out episodes, and keep the weights where they are the best so far."""
        self.check_weights()
        self.progress.loss = sum(self._losses) / len(self._losses)
        self._losses.clear()
        blocks = self._split.measured_blocks(AT_ONCE)
        fits = [fit_of(self.learner, rows, episodes) for rows, episodes in blocks]
        if not fits:
            return {}
        fit = sum(fits[1:], fits[0])
        loss = fit.loss.item()
        check_losses({"held-out": loss})
        if self.progress.best is None or loss < self.progress.best:
            self.progress.best, self.progress.best_step, self.progress.stale = loss, step, 0
            self._keep()
        else:
            self.progress.stale += 1
        return {"Losses/Held-Out Loss": loss, **fit.metrics("Held-Out ", continuous=self.policy.continuous > 0)}

    def _keep(self) -> None:
        """Let the policy be what the learner is now."""
        if self.learner is not self.policy:
            self.policy.load_state_dict(self.learner.state_dict())

    @torch.no_grad()
    def _bound_sigma(self) -> None:
        """Keep the deviation of samples between `min_sigma` and the largest distance of an action from 0."""
        if (sigma := _log_sigma(self.learner)) is not None:
            sigma.clamp_(math.log(self.settings.min_sigma * ACTION_CLIP), math.log(ACTION_CLIP))

    def _describe(self, episodes: int) -> None:
        """Log how many rows there are, and warn of choices that were forbidden."""
        split, held_out = self._split, len(self._split.held_out)
        log.info(
            f"Demonstrations: {len(split.learned):,} rows of {episodes - held_out} episodes are learned from, "
            f"{len(split.measured):,} rows of {held_out} are held out."
        )
        if self.settings.held_out and not held_out:
            log.warning("There is one episode, so none is held out: the last weights are kept, not the best ones.")
        if wrong := forbidden(self._shown, self.policy.branches):
            log.warning(
                f"{wrong:,} of {len(self._shown):,} demonstrated rows have choices that their masks forbid: are "
                "actions paired with the right observations? See `align` of the demonstrations."
            )


def forbidden(rows: Experience, branches: tuple[int, ...]) -> int:
    """Return how many rows have a choice that their mask forbids."""
    first = torch.tensor([0, *branches[:-1]], device=rows.done.device).cumsum(0)
    if not branches:
        return 0
    return int((~rows.input.mask.gather(1, rows.output.action.discrete + first)).any(1).sum())


def _log_sigma(policy: Policy) -> nn.Parameter | None:
    """Return the deviation of a policy's continuous actions, where that is a parameter of its own."""
    found = getattr(policy, "log_sigma", None)
    return found if isinstance(found, nn.Parameter) else None
