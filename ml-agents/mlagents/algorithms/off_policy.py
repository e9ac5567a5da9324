"""The template of trainers that learn from whatever was done before."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from mlagents.algorithms.author import BroadcastWatch, TrainerError, check_metrics
from mlagents.algorithms.capabilities import Capabilities
from mlagents.algorithms.episodes import EpisodeSums
from mlagents.algorithms.schedules import Schedule
from mlagents.algorithms.settings import OffPolicyHyperparamSettings
from mlagents.algorithms.template import TrainerTemplate, judged, rewards_of, updated
from mlagents.algorithms.trainer import Metrics, State, TrainerSetup, title
from mlagents.data.finite import NotFinite, check_losses
from mlagents.data.n_step import NStepReturns
from mlagents.data.replay import Complete, ReplayBuffer, Transition
from mlagents.data.rollout import Tick
from mlagents.data.rows import Rows
from mlagents.data.sequence_replay import SequenceBatch, SequenceBuffer
from mlagents.demonstrations.buffer import DemonstrationBuffer
from mlagents.demonstrations.recorded import naming_the_key
from mlagents.demonstrations.sources import make_source
from mlagents.nn.normalize import Normalizer

IMITATED_AT_ONCE = 100  # gradient steps of imitation between two steps of the environment
Network = TypeVar("Network", bound=nn.Module)


class OffPolicyTrainer(TrainerTemplate):
    """Remember everything, and learn from random rows at a steady pace. Subclasses write `update`.

    Settings with an `n_step` get returns over that many rows.
    """

    Settings: ClassVar[type[OffPolicyHyperparamSettings]] = OffPolicyHyperparamSettings
    capabilities: ClassVar[Capabilities] = Capabilities(demonstrations=True)
    TABLES = (*TrainerTemplate.TABLES, Transition)
    NOT_HERE = {
        hook: "that is a hook of OnPolicyTrainer; an OffPolicyTrainer writes update(batch)"
        for hook in ("loss", "targets", "descend", "make_critic", "report")
    }

    def __init__(self, setup: TrainerSetup, settings: Any) -> None:
        super().__init__(setup, settings)
        if type(self).update is OffPolicyTrainer.update:
            raise TrainerError(f"{type(self).__name__} has no update: an OffPolicyTrainer writes update(batch)")
        self.memory = self._make_memory(settings.buffer_size)
        self._write = self.memory.writer()
        self.updates = 0  # gradient steps
        self.imitated = 0  # gradient steps of imitation, before the others
        self._seen = 0  # rows that were received, of which the first are for warm-up
        self._pending_updates = 0.0  # rows after warm-up that no update has answered yet
        self._pending_signal_updates = 0.0  # likewise, for the reward signals that learn
        self._episodes = EpisodeSums(len(self.signals), self.device)
        self._ended: list[Tensor] = []  # (k, S) sums of episodes that were not reported yet
        self._learned = [i for i, signal in enumerate(self.signals) if signal.learns]
        n_step = getattr(settings, "n_step", 1)
        if self._learned and n_step > 1:
            names = ", ".join(self.signals[i].name for i in self._learned)
            raise TrainerError(
                f"{type(self).__name__}: n_step is {n_step}, but reward signals that learn ({names}) judge single rows "
                "when they are sampled; set n_step to 1"
            )
        returns = partial(
            NStepReturns,
            n_step,
            gamma=[signal.gamma for signal in self.signals],
            ignores_done=[signal.ignores_done for signal in self.signals],
            device=self.device,
        )
        self._waiting = returns(frames=self.memory.frames)
        self._looked = False  # was the first batch looked at for shapes that are stretched?
        self.demonstrations: DemonstrationBuffer | None = None
        self._imitations = 0  # gradient steps of imitation to take
        if (given := setup.demonstrations) is not None:
            linear, steps = given.ratio_schedule == "linear", given.ratio_steps or setup.max_steps
            self.schedules["demonstration_ratio"] = Schedule(given.ratio, given.ratio_final, steps, linear)
            self.now["demonstration_ratio"] = given.ratio
            self._imitations = given.bc_init_steps
            with naming_the_key("demonstrations"):
                sources = [make_source(source, setup.spec) for source in given.sources]
            shown = self._make_memory(None if given.protect else settings.buffer_size)
            self.demonstrations = DemonstrationBuffer(
                sources,
                shown,
                from_env_action=self.policy.from_env_action,
                reward=self._reward,
                returns=partial(returns, demonstrated=True, frames=shown.frames),
                memory_size=self.policy.memory_size,
                device=self.device,
            )

    # what a subclass writes or replaces

    def update(self, batch: Transition) -> Metrics:
        """Descend once on random rows, and return what to record."""
        raise NotImplementedError

    def imitate(self, batch: Transition) -> Metrics:
        """Descend once toward what was demonstrated, and return what to record.

        Here the policy's means are drawn to the actions and its choices made more probable; a policy of another kind
        needs another way.
        """
        log_prob, _ = self.evaluate(batch)
        loss = -log_prob.sum(1).mean()
        self.take_step(self._imitator, loss)
        return {"Losses/Imitation Loss": loss.item()}

    # what a subclass calls

    def evaluate(self, batch: Transition) -> tuple[Tensor, Tensor]:
        """Return (n, C + B) log probabilities of the batch's actions and (n,) entropies, with gradients.

        A policy with memory is walked along the batch's sequences.
        """
        if isinstance(batch, SequenceBatch):
            return self.policy.evaluate_sequences(batch.input, batch.action, batch.sequence)
        return self.policy.evaluate(batch.input, batch.action)

    def make_target(self, network: Network) -> Network:
        """Return a copy that follows only by `soft_update`; both see rows through the same normalizers."""
        shared = [self.generator, *(part for part in network.modules() if isinstance(part, Normalizer))]
        return copy.deepcopy(network, {id(part): part for part in shared})

    @staticmethod
    @torch.no_grad()
    def soft_update(target: nn.Module, source: nn.Module, *, tau: float) -> None:
        """Move the target's parameters a share tau of the way to the source's; 1 copies them."""
        for mine, theirs in zip(target.parameters(), source.parameters(), strict=True):
            mine.lerp_(theirs, tau)

    def move_target(self, target: nn.Module, source: nn.Module, tau: float, *, interval: int = 0) -> None:
        """Let a target follow by tau at this update; with an interval, only by a copy after so many updates."""
        if interval == 0:
            self.soft_update(target, source, tau=tau)
        elif (self.updates + 1) % interval == 0:
            self.soft_update(target, source, tau=1.0)

    # what a run calls

    def receive(self, tick: Tick) -> None:
        """Remember rows whose next inputs are known by now."""
        rows = len(tick.lane)
        reward = self._reward(tick)
        ended = self._episodes.add(reward, tick.lane, tick.rows.done)
        if len(ended):
            self._ended.append(ended)
        self._remember(self._waiting.take(tick, reward))
        self._observe(tick.rows.input.obs)
        self._seen += rows
        warm = max(self.settings.buffer_init_steps, self.settings.batch_size)
        new = min(rows, max(self._seen - warm, 0))
        self._pending_updates += new
        self._pending_signal_updates += new

    def learn(self, step: int) -> Metrics | None:
        """Make one update per `steps_per_update` rows that were received after the first `buffer_init_steps`."""
        self._advance_schedules(step)
        if self.demonstrations is not None:
            if unseen := self.demonstrations.poll():
                self._observe(tuple(torch.cat(column) for column in zip(*unseen, strict=True)))
            if self.imitated < self._imitations and len(self.demonstrations):
                return self._imitate(self.demonstrations)
        enough = min(self.settings.batch_size, self.settings.buffer_size)
        if self._pending_updates < self.settings.steps_per_update or len(self.memory) < enough:
            return None
        recorded: list[Metrics] = []
        batch = None
        try:
            self._update_signals()
            while self._pending_updates >= self.settings.steps_per_update:
                batch = self._batch()
                losses = self._checked_update(batch)
                self._imitate_beside(step)
                recorded.append({**losses, **self._origins(batch)})
                self.updates += 1
                self._pending_updates -= self.settings.steps_per_update
            self.check_weights()
        except NotFinite as error:
            self.memory.drop_sampled()
            raise error if batch is None else error.found_in(batch) from None
        metrics = _means(recorded)
        metrics.update({f"Policy/{title(name)}": value for name, value in self.now.items()})
        return {**metrics, **self._episode_rewards(), **self._take_recorded()}

    def learn_again(self, rows: Rows) -> None:
        if not isinstance(rows, Transition):
            super().learn_again(rows)
            return
        self.check_weights()
        self._checked_update(rows)
        self.check_weights()

    def close(self, lane: Tensor) -> None:
        """Remember what these lanes' last rows led to so far: their agents are gone."""
        self._episodes.drop(lane)
        self._remember(self._waiting.close(lane))

    def forget(self) -> None:
        """End running episodes where they are; what was remembered stays true."""
        self._remember(self._waiting.clear())
        self._episodes.clear()

    def learned_state(self) -> State:
        own = type(self).state_dict is OffPolicyTrainer.state_dict
        return self._without_rows() if own else self.state_dict()  # an author may have more to keep

    def state_dict(self) -> State:
        """Return the modules, the counters, and with `save_replay_buffer` the remembered rows."""
        state = self._without_rows()
        if self.settings.save_replay_buffer:
            pending = {"pending_updates": self._pending_updates, "pending_signal_updates": self._pending_signal_updates}
            state["replay"] = {"memory": self.memory.state_dict(), "seen": self._seen, **pending}
        return state

    def load_state_dict(self, state: State) -> None:
        """Take what `state_dict` gave; without remembered rows, warm-up begins anew."""
        super().load_state_dict(state)
        self.updates = state["updates"]
        if self.demonstrations is not None and "demonstrations" in state:
            self.imitated = state["demonstrations"]["imitated"]
            self.demonstrations.load_state_dict(state["demonstrations"]["observed"])
        if self.settings.save_replay_buffer and "replay" in state:
            replay = state["replay"]
            self.memory.load_state_dict(replay["memory"])
            self._seen, self._pending_updates = replay["seen"], replay["pending_updates"]
            self._pending_signal_updates = replay["pending_signal_updates"]
        # Otherwise the memory begins empty, and the pace with warm-up.

    def _without_rows(self) -> State:
        state = {**super().state_dict(), "updates": self.updates}
        if self.demonstrations is not None:
            state["demonstrations"] = {"imitated": self.imitated, "observed": self.demonstrations.state_dict()}
        return state

    def _checked_update(self, batch: Transition) -> Metrics:
        """Update; raises NotFinite, with the rows, for a loss that is NaN or infinite."""
        try:
            losses = self._updated(batch)
            check_metrics(f"{type(self).__name__}.update", losses)
            check_losses(losses)
        except NotFinite as error:
            raise error.found_in(batch) from None
        return losses

    def _updated(self, batch: Transition) -> Metrics:
        """Call `update`; the first batch's shapes are watched."""
        if self._looked:
            return self.update(batch)
        with BroadcastWatch(len(batch)) as watch:
            metrics = self.update(batch)
        watch.check(f"{type(self).__name__}.update", {})
        self._looked = True
        return metrics

    def _batch(self) -> Transition:
        """Return random rows, of which an exact share was demonstrated."""
        size = self.settings.batch_size
        if self.demonstrations is None:
            return self._judged(self.memory.sample(size))
        shown = self.demonstrations.share(self.now["demonstration_ratio"], size)
        parts = [self.memory.sample(size - shown)] if shown < size else []
        parts += [self.demonstrations.sample(shown)] if shown else []
        return self._judged(_joined(parts))

    @torch.no_grad()
    def _judged(self, batch: Transition) -> Transition:
        """Return the batch with the returns of signals that learn, as they judge its rows now."""
        if not self._learned:
            return batch
        returns, rows = batch.returns.clone(), self.signal_batch(batch.rows, lambda: batch.next_input)
        for i in self._learned:
            returns[:, i] = judged(self.signals[i], rows)
        return replace(batch, returns=returns)

    def _update_signals(self) -> None:
        """Let reward signals that learn learn, once per `reward_signal_steps_per_update` rows."""
        pace = self.settings.reward_signal_steps_per_update
        while self._learned and self._pending_signal_updates >= pace:
            self._pending_signal_updates -= pace
            batch = self.memory.sample(self.settings.batch_size)
            rows = self.signal_batch(batch.rows, lambda batch=batch: batch.next_input)  # type: ignore[misc]
            for i in self._learned:
                for tag, value in updated(self.signals[i], rows).items():
                    self.record(tag, value)

    def _origins(self, batch: Transition) -> Metrics:
        """Return where the rows of a batch, and all that are remembered, came from."""
        if self.demonstrations is None:
            return {}
        return {
            "Replay/Demonstration Share": batch.demonstrated.float().mean().item(),
            "Replay/Own Rows": len(self.memory),
            "Replay/Demonstration Rows": len(self.demonstrations),
            **{f"Replay/Rows of {source}": rows for source, rows in self.demonstrations.rows_of.items()},
        }

    def _imitate(self, shown: DemonstrationBuffer) -> Metrics:
        """Imitate for a while."""
        turns = min(IMITATED_AT_ONCE, self._imitations - self.imitated)
        self.imitated += turns
        recorded = [self.imitate(shown.sample(self.settings.batch_size)) for _ in range(turns)]
        check_metrics(f"{type(self).__name__}.imitate", recorded[-1])
        return _means(recorded)

    @cached_property
    def _imitator(self) -> torch.optim.Optimizer:
        """Takes the steps of `imitate`; how widely a policy explores is not for demonstrations to say."""
        sigma = getattr(self.policy, "log_sigma", None)
        return self.make_optimizer([p for p in self.policy.parameters() if p is not sigma])

    def _make_memory(self, capacity: int | None) -> ReplayBuffer:
        """Return an empty buffer; that of a policy with memory gives whole sequences."""
        if self.policy.memory_size:
            return SequenceBuffer(capacity, self._sequence_length, self.generator)
        return ReplayBuffer(capacity, self.generator)

    def _remember(self, parts: Sequence[Complete]) -> None:
        for part in parts:  # two at most: rows that were followed, and rows whose episode ended
            self._write(part)

    @torch.no_grad()
    def _reward(self, tick: Tick) -> Tensor:
        """(n, S) what each signal gives now; signals that learn judge the rows again when they are sampled."""
        rows = self.signal_batch(tick.rows, tick.next_input)
        return torch.stack([judged(signal, rows, tick.agent) for signal in self.signals], 1)

    def _episode_rewards(self) -> dict[str, Any]:
        """Return what each signal gave over the episodes that ended since it was last asked."""
        if not self._ended:
            return {}
        ended = torch.cat(self._ended)
        self._ended.clear()
        return rewards_of(self.signals, ended)


def _joined(parts: Sequence[Transition]) -> Transition:
    """Return one batch of the rows of several; at least one."""
    first, *others = parts
    if not others:
        return first
    if isinstance(first, SequenceBatch):  # sequences of one part are numbered after those of the part before
        numbered = [first]
        for part in others:
            assert isinstance(part, SequenceBatch)
            after = numbered[-1].sequence.max() + 1
            numbered.append(replace(part, sequence=part.sequence + after))
        return SequenceBatch.concat(numbered)
    return Transition.concat(parts)


def _means(recorded: Sequence[Metrics]) -> dict[str, Any]:
    """Return the mean of each number over several updates."""
    return {name: sum(float(each[name]) for each in recorded) / len(recorded) for name in recorded[-1]}
