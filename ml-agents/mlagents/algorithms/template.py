"""What the two templates of trainers have in common: parts that a subclass may replace, checkpoints, records, steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mlagents.algorithms.author import TrainerError, check_loss, check_metrics, check_rows, naming_the_gradient
from mlagents.algorithms.capabilities import Capabilities
from mlagents.algorithms.imitation import BehavioralCloning
from mlagents.algorithms.modules import Module, load_state, lost, modules_of, parameters_of, state_of
from mlagents.algorithms.parts import check_policy, check_unseen
from mlagents.algorithms.schedules import AnySchedule, Schedule
from mlagents.algorithms.settings import HyperparamSettings
from mlagents.algorithms.trainer import Metrics, State, TrainerSetup, title
from mlagents.data.experience import Experience, PolicyInput
from mlagents.data.finite import (
    NotFinite,
    all_finite,
    check_gradients,
    check_losses,
    check_parameters,
    check_rows_finite,
)
from mlagents.data.rows import Rows
from mlagents.nn.body import NetworkBody
from mlagents.nn.policy import Actor, Policy
from mlagents.rewards.signal import Extrinsic, RewardSignal, SignalBatch, SignalRows

Observe = Callable[[tuple[Tensor, ...]], None]  # of observations, one (n, *shape) per sensor
SEQUENCE_LENGTH = 64  # rows that one gradient sees of a memory of an author's own, where the YAML has no `memory`


class TrainerTemplate:
    """Settings, signals, policy, schedules and checkpoints of a trainer."""

    Settings: ClassVar[type[HyperparamSettings]] = HyperparamSettings
    capabilities: ClassVar[Capabilities] = Capabilities()
    TABLES: ClassVar[tuple[type[Rows], ...]] = (SignalRows,)
    """What `learn_again` takes."""
    NOT_HERE: ClassVar[Mapping[str, str]] = {}  # hooks of the other template, and what to write instead

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for hook in vars(cls).keys() & cls.NOT_HERE.keys():
            raise TypeError(f"{cls.__name__} has a method '{hook}': {cls.NOT_HERE[hook]}")

    def __init__(self, setup: TrainerSetup, settings: Any) -> None:
        self.settings = settings
        self.device = setup.device
        self.generator = setup.generator
        self.signals = self.make_signals(setup)
        self.policy = self.make_policy(setup)
        if not isinstance(self.policy, Policy):
            raise TrainerError(
                f"{type(self).__name__}.make_policy must return a Policy, but returned {type(self.policy).__name__}"
            )
        if setup.network.memory is not None and not self.policy.memory_size:
            raise TrainerError(
                f"{type(self).__name__}: network_settings.memory asks for memory, but {type(self.policy).__name__} has "
                "none; take that section out, or set memory=False in its capabilities, so that it is refused earlier"
            )
        self.policy.generator = setup.generator
        self.policy.unseen = setup.critic_only
        self.schedules = self.make_schedules(setup.max_steps)
        self.now = {name: schedule(0) for name, schedule in self.schedules.items()}
        self._recorded: dict[str, list[float]] = {}
        self._sequence_length = setup.network.memory.sequence_length if setup.network.memory else SEQUENCE_LENGTH
        self.cloning = None if setup.cloning is None else BehavioralCloning(
            setup.cloning, self.policy, settings, take_step=self.take_step, generator=self.generator,
            device=self.device, sequence_length=self._sequence_length,
        )  # fmt: skip

    # parts that a subclass may replace

    def make_signals(self, setup: TrainerSetup) -> list[RewardSignal]:
        """Return the reward signals, in the order of the columns of `returns`."""
        return list(setup.signals)

    def make_policy(self, setup: TrainerSetup) -> Policy:
        """Return what acts, and what is exported."""
        return Actor(setup.spec, setup.network)

    def make_optimizer(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        """Return what takes the steps. Its learning rate follows the schedule `learning_rate`.

        A parameter group with a key `schedule` follows the schedule of that name instead.
        """
        return torch.optim.Adam(parameters, lr=self.settings.learning_rate, fused=True)

    def make_schedules(self, max_steps: int) -> dict[str, AnySchedule]:
        """Return the numbers that change with the step, each a function of it; `self.now` holds their values."""
        linear = self.settings.learning_rate_schedule == "linear"
        return {"learning_rate": Schedule(self.settings.learning_rate, 1e-10, max_steps, linear)}

    def modules(self) -> dict[str, Module]:
        """Return what a checkpoint holds: networks, optimizers and parameters that are public attributes, by title.

        Lists, tuples and dicts of them too, and those of the reward signals.
        """
        found = modules_of(self)
        for signal in self.signals:
            found |= {f"{title(signal.name)} Signal {name}": module for name, module in modules_of(signal).items()}
        return found if self.cloning is None else found | self.cloning.modules()

    # what a subclass calls

    def record(self, tag: str, value: float | Tensor) -> None:
        """Record a number under a TensorBoard tag; its mean until the end of this `learn` is what is shown."""
        number = value.item() if isinstance(value, Tensor) else float(value)
        self._recorded.setdefault(tag, []).append(number)

    def take_step(self, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        """Descend a scalar loss once; the gradient's norm is clipped at `max_grad_norm`, where that is set.

        Raises NotFinite, before the step, for a loss or a gradient that is NaN or infinite.
        """
        check_loss(type(self).__name__, loss)
        if not math.isfinite(loss.item()):
            self.check_weights()  # a weight that is ruined is the cause, and not the loss
            raise NotFinite(f"the loss of a step of {type(self).__name__} is {loss.item()}")
        optimizer.zero_grad()
        with naming_the_gradient(type(self).__name__):
            loss.backward()  # type: ignore[no-untyped-call]
        check_gradients([p for group in optimizer.param_groups for p in group["params"]], self.named_networks)
        self.step(optimizer)

    def signal_batch(self, rows: Experience, next_input: Callable[[], PolicyInput]) -> SignalBatch:
        """Return rows of this policy as reward signals see them."""
        return SignalBatch(rows, next_input, self.policy.env_action)

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """Take a step along gradients that are there, clipped at `max_grad_norm`, where that is set."""
        if self.settings.max_grad_norm > 0:
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            torch.nn.utils.clip_grad_norm_(parameters, self.settings.max_grad_norm)
        optimizer.step()

    # what the templates call

    def check_parts(self) -> None:
        """Raise TrainerError for parts that would fail, or be lost, once training goes on."""
        kept = self.modules()
        for owner in (self, *self.signals):
            if names := lost(owner, kept):
                raise TrainerError(
                    f"{type(owner).__name__}: an optimizer changes, or is, {', '.join(names[:3])}, which no checkpoint "
                    "would hold; make the network and the optimizer public attributes, in a list or dict if there are "
                    "several, or name them in modules()"
                )
        for signal in self.signals:
            if type(signal).evaluate is RewardSignal.evaluate:
                raise TrainerError(f"{type(signal).__name__} has no evaluate: a RewardSignal writes evaluate(batch)")
        self._advance_schedules(0)
        check_policy(self.policy)
        check_unseen(self.policy)

    def _advance_schedules(self, step: int) -> None:
        """Bring `now` and the learning rates of every optimizer to this step."""
        self.now = {name: schedule(step) for name, schedule in self.schedules.items()}
        for name, module in modules_of(self).items():
            for group in module.param_groups if isinstance(module, torch.optim.Optimizer) else ():
                followed = group.get("schedule", "learning_rate")
                if followed not in self.now:
                    raise TrainerError(
                        f"{type(self).__name__}: {name} follows the schedule '{followed}', but make_schedules has only "
                        f"{', '.join(self.now) or 'none'}"
                    )
                group["lr"] = self.now[followed]

    def _imitate_beside(self, step: int) -> None:
        """Take the steps of `behavioral_cloning`, if the settings have it."""
        if self.cloning is not None:
            loss = self.cloning.update(step)
            check_losses({"pretraining": loss})
            self.record("Losses/Pretraining Loss", loss)

    @cached_property
    def _observers(self) -> list[Observe]:
        """The `observe` of the policy, and of every body whose normalizer is not fed by another one."""
        found: list[Observe] = [self.policy.observe] if self.policy.normalizes else []
        known = {id(part) for part in self.policy.modules()} if found else set()
        for module in modules_of(self).values():
            for part in module.modules() if isinstance(module, nn.Module) else ():
                if isinstance(part, NetworkBody) and part.normalizer is not None and id(part.normalizer) not in known:
                    known.add(id(part.normalizer))
                    found.append(part.observe)
        return found

    def _observe(self, obs: tuple[Tensor, ...]) -> None:
        """Let every normalizer see more rows; obs: one (n, *shape) per sensor."""
        for observe in self._observers:
            observe(obs)

    def _take_recorded(self) -> dict[str, float]:
        recorded, self._recorded = self._recorded, {}
        return {tag: sum(values) / len(values) for tag, values in recorded.items()}

    def named_networks(self) -> dict[str, nn.Module | nn.Parameter]:
        """Return what `modules` has but optimizers, by names for a sentence."""
        kept = self.modules().items()
        return {name.removeprefix("Optimizer:"): m for name, m in kept if isinstance(m, nn.Module | nn.Parameter)}

    def check_weights(self) -> None:
        """Raise NotFinite for a weight that is no number."""
        networks = self.named_networks()
        if not all_finite([p.detach() for p in parameters_of(networks)]):
            check_parameters(networks)

    def learn_again(self, rows: Rows) -> None:
        """Learn once from rows of one of `TABLES`, in which a NaN was met; raises NotFinite if it is met again.

        Weights may have changed afterwards.
        """
        assert isinstance(rows, SignalRows)
        batch = SignalBatch(rows.rows, lambda: rows.next_input, self.policy.env_action)
        for signal in self.signals:
            judged(signal, batch)
            if signal.learns:
                updated(signal, batch)

    def rows_of(self, table: str, columns: Mapping[str, Tensor]) -> Rows:
        """Return rows by the name of their class, which is one of `TABLES` or extends one; raises KeyError."""
        kinds = list(self.TABLES)
        for kind in kinds:
            kinds += kind.__subclasses__()
        return {kind.__qualname__: kind for kind in kinds}[table].from_columns(columns)

    def learned_state(self) -> State:
        """Return what learning changes: the state to go back to when learning fails. Remembered rows are not in it."""
        return self.state_dict()

    def state_dict(self) -> State:
        """Return the states of `modules`, by name."""
        return state_of(self.modules())

    def load_state_dict(self, state: State) -> None:
        """Take what `state_dict` gave; raises KeyError or RuntimeError where the networks are others."""
        load_state(self.modules(), state)
        self._recorded.clear()


def updated(signal: RewardSignal, batch: SignalBatch) -> Metrics:
    """Let a signal learn from rows and return its metrics.

    Raises TrainerError if it returned none, NotFinite for one that is NaN or infinite.
    """
    try:
        metrics = signal.update(batch)
        check_metrics(f"{type(signal).__name__}.update", metrics)
        check_losses(metrics, f"number that the reward signal '{signal.name}' records as")
    except NotFinite as error:
        raise error.found_in(batch.table()) from None
    return metrics


def judged(signal: RewardSignal, batch: SignalBatch, agent: NDArray[np.int64] | None = None) -> Tensor:
    """Return the (n,) rewards of rows, times the signal's strength. agent: (n,) whose rows these are.

    Raises TrainerError for another shape, NotFinite for rewards that are NaN or infinite.
    """
    reward = signal.evaluate(batch)
    check_rows(f"{type(signal).__name__}.evaluate", reward, (len(batch),))
    if type(signal) is not Extrinsic:  # numbers of environments were checked when they came
        try:
            check_rows_finite(f"the reward signal '{signal.name}' gives", reward)
        except NotFinite as error:
            raise error.found_in(batch.table(), agent) from None
    return signal.strength * reward


def rewards_of(signals: Sequence[RewardSignal], ended: Tensor) -> dict[str, Any]:
    """Return the metrics of ended episodes, none where k is 0; ended: (k, S) the sums of what each signal gave."""
    if not len(ended):
        return {}
    return {f"Policy/{title(signal.name)} Reward": ended[:, i].cpu().numpy() for i, signal in enumerate(signals)}


__all__ = ["Metrics", "TrainerTemplate", "judged", "rewards_of", "updated"]
