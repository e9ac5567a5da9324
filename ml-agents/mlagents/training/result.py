"""What a program gets from a run: policies, curves, scores."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mlagents.build import results_folder
from mlagents.envs.apart import pool_beside
from mlagents.envs.local import LocalPool
from mlagents.envs.pool import EnvPool, MakeWorker
from mlagents.errors import RunError
from mlagents.evaluation.play import Counts, Play
from mlagents.evaluation.result import Evaluation
from mlagents.evaluation.settings import MAX_LENGTH
from mlagents.nn.policy import Policy
from mlagents.run.atomic import write_atomically
from mlagents.run.evaluating import EvaluationFile, policy_players
from mlagents.run.loop import Loop, TrainedBehavior
from mlagents.run.metrics import MetricsTable
from mlagents.run.outcome import Outcome
from mlagents.settings.options import RunOptions
from mlagents_envs.base_env import BaseEnv

if TYPE_CHECKING:
    from mlagents_envs.model import Model


class TrainingResult:
    """A run that has ended. Where it trained one behavior, that one need not be named."""

    def __init__(
        self, options: RunOptions, environment: BaseEnv | MakeWorker | None, loop: Loop, outcome: Outcome,
        metrics: MetricsTable,
    ) -> None:  # fmt: skip
        """environment: what was trained in, where it is not what the options name."""
        self.options = options
        self.outcome = outcome
        """Scores, why the run ended, and where its files lie."""
        self.metrics = metrics
        """The learning curves: columns by tag, one row a summary."""
        self._environment = environment
        self._loop = loop

    def __repr__(self) -> str:
        scores = [
            f"{name}: {'no episode' if each.mean_return is None else f'{each.mean_return:.3f}'} at step {each.step:,}"
            for name, each in self.outcome.behaviors.items()
        ]
        return f"<TrainingResult {self.outcome.ended.value}: {', '.join(scores) or 'nothing was trained'}>"

    @property
    def policies(self) -> dict[str, Policy]:
        """The trained networks, by behavior."""
        return {name: trained.behavior.trainer.policy for name, trained in self._loop.behaviors.items()}

    @property
    def policy(self) -> Policy:
        """The trained network of the only behavior; raises RunError if there are several or none."""
        return self.policies[self._only().name]

    @property
    def model(self) -> Model:
        """The policy of the only behavior as a function of numpy arrays; raises RunError unless there is one."""
        return self.model_of(self._only().name)

    def model_of(self, behavior: str) -> Model:
        """Return the policy of a behavior as a function of numpy arrays, as any model that was exported."""
        from mlagents_envs.model import Model

        path = self.outcome.behaviors[behavior].model
        if path is None:
            raise RunError(f"{behavior}: no model was written")
        return Model(path)

    def evaluate(
        self, episodes: int = 100, *, deterministic: bool = True, seed: int | None = None,
        max_length: int = MAX_LENGTH,
    ) -> dict[str, Evaluation]:
        """Play so many episodes of each team of every behavior in an environment that is made anew.

        deterministic: the most probable actions; False samples, as in training. seed: of the environment; None takes
        one that training did not use. A function that makes environments gets the next number instead of a seed; an
        environment that the caller had made is reset and used again. max_length: decisions after which an episode is
        cut, and counts with what it has earned. Raises RunError for a behavior that was not trained.
        """
        seed = self.options.env_settings.seed + self.options.env_settings.num_envs if seed is None else seed
        make_player = policy_players(self.policies, deterministic=deterministic, seed=seed)
        pool = self._fresh_pool(seed)
        try:
            play = Play(pool, make_player, Counts(episodes, max_length=max_length))
            play.run(copy.deepcopy(self._loop.parameters))  # samplers of its own
            return play.results()
        finally:
            pool.close()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the policies: `NAME.onnx` is the model for Unity, `NAME.pt` a checkpoint for `init_path`.

        Any other path is a folder, which gets both of every behavior.
        """
        target = Path(path)
        if target.suffix == ".onnx":
            trained = self._only()
            if trained.export is None:
                raise RunError(f"{trained.name}: its policy is no model for Unity; save it as .pt")
            trained.export(target)
        elif target.suffix == ".pt":
            _checkpoint(self._only(), target)
        else:
            target.mkdir(parents=True, exist_ok=True)
            for name, trained in self._loop.behaviors.items():
                if trained.export is not None:
                    trained.export(target / f"{name}.onnx")
                _checkpoint(trained, target / f"{name}.pt")

    def _fresh_pool(self, seed: int) -> EnvPool:
        """Return one environment that training did not play in, where another can be had."""
        if self._environment is None and self.options.env_settings.env_path is None and self.options.offline:
            raise RunError("the run had no environment to play in: train with env, which is only played in then")
        if isinstance(self._environment, BaseEnv):
            return LocalPool(self._environment, owned=False)
        settings, engine = self.options.env_settings, self.options.engine_settings
        return pool_beside(settings, engine, self._environment, seed=seed, logs=None)

    @property
    def evaluations(self) -> list[dict[str, Any]]:
        """What the evaluations of the run found, oldest first; empty without `evaluation` in the config."""
        return EvaluationFile(results_folder(self.options).evaluations).entries()

    def _only(self) -> TrainedBehavior:
        behaviors: Mapping[str, TrainedBehavior] = self._loop.behaviors
        if len(behaviors) != 1:
            names = ", ".join(behaviors) or "none"
            raise RunError(f"the run has {len(behaviors)} behaviors ({names}); take one of them by its name")
        return next(iter(behaviors.values()))


def _checkpoint(trained: TrainedBehavior, path: Path) -> None:
    state = trained.behavior.state_dict()
    write_atomically(path, lambda file: torch.save(state, file))
