"""The template of trainers that learn from whatever was done before."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from mlagents.algorithms.capabilities import Capabilities
from mlagents.algorithms.episodes import EpisodeSums
from mlagents.algorithms.schedules import Schedule
from mlagents.algorithms.settings import OffPolicyHyperparamSettings
from mlagents.algorithms.trainer import Metrics, State, TrainerSetup, title
from mlagents.data.finite import check_losses
from mlagents.data.replay import NStepReturns, ReplayBuffer, Transition
from mlagents.data.rollout import Segments, Tick
from mlagents.demonstrations.buffer import DemonstrationBuffer
from mlagents.demonstrations.sources import make_source
from mlagents.nn.policy import Actor

IMITATED_AT_ONCE = 100  # gradient steps that imitate between two looks at the world
Network = TypeVar("Network", bound=nn.Module)


class OffPolicyTrainer:
    """Remember everything, and learn from random rows at a steady pace. Subclasses write `update`.

    Settings with an `n_step` get returns over that many rows.
    """

    Settings: ClassVar[type[OffPolicyHyperparamSettings]] = OffPolicyHyperparamSettings
    capabilities: ClassVar[Capabilities] = Capabilities(demonstrations=True)

    def __init__(self, setup: TrainerSetup, settings: Any) -> None:
        self.settings = settings
        self.signals = setup.signals
        self.policy = self.make_policy(setup)
        self.memory = ReplayBuffer(settings.buffer_size)
        self.schedules = self.make_schedules(setup.max_steps)
        self.updates = 0  # gradient steps
        self.imitated = 0  # gradient steps that only imitated, before the others
        self._seen = 0  # rows that came home, of which the first are for warm-up
        self._pending_updates = 0.0  # rows after warm-up that no update has answered yet
        self._episodes = EpisodeSums(len(setup.signals))
        self._ended: list[Tensor] = []  # (k, S) sums of episodes that no metric has told yet
        returns = partial(
            NStepReturns,
            getattr(settings, "n_step", 1),
            gamma=[signal.gamma for signal in setup.signals],
            ignores_done=[signal.ignores_done for signal in setup.signals],
        )
        self._waiting = returns()
        self.demonstrations: DemonstrationBuffer | None = None
        self._imitations = 0  # gradient steps that are to imitate
        if (said := setup.demonstrations) is not None:
            linear, steps = said.ratio_schedule == "linear", said.ratio_steps or setup.max_steps
            self.schedules["demonstration_ratio"] = Schedule(said.ratio, said.ratio_final, steps, linear)
            self._imitations = said.bc_init_steps
            self.demonstrations = DemonstrationBuffer(
                [make_source(source, setup.spec) for source in said.sources],
                capacity=None if said.protect else settings.buffer_size,
                from_env_action=self.policy.from_env_action,
                reward=self._reward,
                returns=partial(returns, demonstrated=True),
            )
        self.now = {name: schedule(0) for name, schedule in self.schedules.items()}

    def update(self, batch: Transition) -> Metrics:
        """Descend once on random rows, and return what to record."""
        raise NotImplementedError(f"{type(self).__name__} has no update: an OffPolicyTrainer writes update(batch)")

    def imitate(self, batch: Transition) -> Metrics:
        """Descend once toward what was demonstrated, and return what to record.

        Here the policy's means are drawn to the actions and its choices made more probable; a policy of another kind
        needs another way.
        """
        log_prob, _ = self.policy.evaluate(batch.rows.input, batch.rows.output.action)
        loss = -log_prob.sum(1).mean()
        self.take_step(self._imitator, loss)
        return {"Losses/Imitation Loss": loss.item()}

    def modules(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """Return what a checkpoint holds, by name: every network and optimizer that is a public attribute."""
        kinds = (nn.Module, torch.optim.Optimizer)
        public = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        return {title(name): value for name, value in public.items() if isinstance(value, kinds)}

    def make_policy(self, setup: TrainerSetup) -> Actor:
        """Return what acts, and what is exported."""
        return Actor(setup.spec, setup.network)

    def make_optimizer(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        """Return what takes the steps; its learning rate follows the schedule if `modules` names it."""
        return torch.optim.Adam(parameters, lr=self.settings.learning_rate, fused=True)

    def make_schedules(self, max_steps: int) -> dict[str, Schedule]:
        """Return the numbers that change with the step; `self.now` holds their values."""
        linear = self.settings.learning_rate_schedule == "linear"
        return {"learning_rate": Schedule(self.settings.learning_rate, 1e-10, max_steps, linear)}

    def make_target(self, network: Network) -> Network:
        """Return a copy that follows only by `soft_update`; both see rows through the same normalizer."""
        shared = {id(normalizer): normalizer for normalizer in [self.policy.body.normalizer]}
        return copy.deepcopy(network, shared)

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

    @staticmethod
    def take_step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        """Descend a loss once."""
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    def receive(self, tick: Tick) -> None:
        rows = len(tick.lane)
        reward = self._reward(tick)
        ended = self._episodes.add(reward, tick.lane, tick.rows.done)
        if len(ended):
            self._ended.append(ended)
        self._remember(self._waiting.take(tick, reward))
        self.policy.observe(tick.rows.input.obs)
        self._seen += rows
        warm = max(self.settings.buffer_init_steps, self.settings.batch_size)
        self._pending_updates += min(rows, max(self._seen - warm, 0))

    def learn(self, step: int) -> Metrics | None:
        """Make one update per `steps_per_update` rows that came home after the first `buffer_init_steps`."""
        self.now = {name: schedule(step) for name, schedule in self.schedules.items()}
        if self.demonstrations is not None:
            if unseen := self.demonstrations.poll():
                self.policy.observe(tuple(torch.cat(column) for column in zip(*unseen, strict=True)))
            if self.imitated < self._imitations and len(self.demonstrations):
                return self._imitate(self.demonstrations)
        enough = min(self.settings.batch_size, self.settings.buffer_size)
        if self._pending_updates < self.settings.steps_per_update or len(self.memory) < enough:
            return None
        for module in self.modules().values():
            for group in module.param_groups if isinstance(module, torch.optim.Optimizer) else ():
                group["lr"] = self.now["learning_rate"]
        told: list[Metrics] = []
        while self._pending_updates >= self.settings.steps_per_update:
            batch = self._batch()
            losses = self.update(batch)
            check_losses(losses)
            told.append({**losses, **self._origins(batch)})
            self.updates += 1
            self._pending_updates -= self.settings.steps_per_update
        metrics = _means(told)
        metrics.update({f"Policy/{title(name)}": value for name, value in self.now.items()})
        return {**metrics, **self._episode_rewards()}

    def close(self, lane: Tensor) -> None:
        self._episodes.drop(lane)
        self._remember(self._waiting.close(lane))

    def forget(self) -> None:
        """End running episodes where they are; what was remembered stays true."""
        self._remember(self._waiting.clear())
        self._episodes.clear()

    def state_dict(self) -> State:
        state: State = {name: module.state_dict() for name, module in self.modules().items()}
        state["updates"] = self.updates
        if self.demonstrations is not None:
            state["demonstrations"] = {"imitated": self.imitated, "observed": self.demonstrations.state_dict()}
        if self.settings.save_replay_buffer:
            state["replay"] = {"memory": self.memory.state_dict(), "seen": self._seen, "owed": self._pending_updates}
        return state

    def load_state_dict(self, state: State) -> None:
        for name, module in self.modules().items():
            module.load_state_dict(state[name])
        self.updates = state["updates"]
        if self.demonstrations is not None and "demonstrations" in state:
            self.imitated = state["demonstrations"]["imitated"]
            self.demonstrations.load_state_dict(state["demonstrations"]["observed"])
        if self.settings.save_replay_buffer and "replay" in state:
            replay = state["replay"]
            self.memory.load_state_dict(replay["memory"])
            self._seen, self._pending_updates = replay["seen"], replay["owed"]
        # Otherwise the memory begins empty, and the pace with warm-up.

    def _batch(self) -> Transition:
        """Return random rows, of which an exact share was demonstrated."""
        size = self.settings.batch_size
        if self.demonstrations is None:
            return self.memory.sample(size)
        shown = self.demonstrations.share(self.now["demonstration_ratio"], size)
        parts = [self.memory.sample(size - shown)] if shown < size else []
        parts += [self.demonstrations.sample(shown)] if shown else []
        return Transition.concat(parts)

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
        return _means([self.imitate(shown.sample(self.settings.batch_size)) for _ in range(turns)])

    @cached_property
    def _imitator(self) -> torch.optim.Optimizer:
        """Takes the steps of `imitate`; how widely a policy explores is not for demonstrations to say."""
        return self.make_optimizer([p for p in self.policy.parameters() if p is not self.policy.log_sigma])

    def _remember(self, parts: Sequence[Transition]) -> None:
        for part in parts:  # two at most: rows that were followed, and rows whose episode ended
            self.memory.append(part)

    def _reward(self, tick: Tick) -> Tensor:
        """(n, S) what each signal gives for these rows."""
        after = tuple(column[tick.closes] for column in tick.after)
        rows = Segments(tick.rows, tick.lane, tick.closes, after, torch.tensor([0, len(tick.lane)]))
        return torch.stack([signal.strength * signal.evaluate(rows) for signal in self.signals], 1)

    def _episode_rewards(self) -> dict[str, Any]:
        """Return what each signal gave over the episodes that ended since it was last asked."""
        if not self._ended:
            return {}
        ended = torch.cat(self._ended)
        self._ended.clear()
        return {f"Policy/{title(signal.name)} Reward": ended[:, i].numpy() for i, signal in enumerate(self.signals)}


def _means(told: Sequence[Metrics]) -> dict[str, Any]:
    """Return the mean of each number over several updates."""
    return {name: sum(float(each[name]) for each in told) / len(told) for name in told[-1]}
