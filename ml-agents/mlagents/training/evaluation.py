"""What trained policies score, in episodes that nobody learns from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mlagents.collect.collector import Collector, Episodes
from mlagents.envs.pool import EnvPool, behavior_name
from mlagents.nn.policy import Policy
from mlagents.run.errors import RunError
from mlagents_envs.base_env import ActionTuple
from mlagents_envs.samplers import Sampler

ENDLESS = 2**31  # rows of a segment that is never cut
PATIENCE = 20_000  # ticks


@dataclass(frozen=True)
class Evaluation:
    """Episodes of one behavior; m is their number."""

    returns: NDArray[np.float32]  # (m,) undiscounted sums of an agent's own rewards
    lengths: NDArray[np.int64]  # (m,) decisions

    @property
    def mean_return(self) -> float:
        """The mean of the returns."""
        return float(self.returns.mean())

    @property
    def std_return(self) -> float:
        """The standard deviation of the returns."""
        return float(self.returns.std())

    def __repr__(self) -> str:
        return f"<Evaluation: {self.mean_return:.3f} +- {self.std_return:.3f} over {len(self.returns)} episodes>"


def evaluate(
    pool: EnvPool, policies: Mapping[str, Policy], parameters: Mapping[str, float | Sampler], *, episodes: int,
    deterministic: bool, patience: int = PATIENCE,
) -> dict[str, Evaluation]:  # fmt: skip
    """Play until every behavior has ended so many episodes; the pool stays open.

    Agents play side by side and the first episodes that end count, so short ones are slightly favored.
    patience: ticks without the end of an episode after which it is given up.
    Raises RunError for a behavior without a policy, and when patience is at an end.
    """
    ended: dict[str, list[Episodes]] = {name: [] for name in policies}
    collectors: dict[str, Collector] = {}
    pool.reset(parameters)
    quiet = 0  # ticks since an episode ended
    while any(sum(len(each.total) for each in all_of) < episodes for all_of in ended.values()):
        quiet += 1
        if quiet > patience:
            raise RunError(
                f"no episode ended within {patience:,} decisions: the policy may move in circles. Let the environment "
                "end episodes that take too long, or evaluate with deterministic=False"
            )
        actions: dict[str, ActionTuple] = {}
        for team, step in pool.recv().items():
            name = behavior_name(team)
            if name not in policies:
                raise RunError(f"the environment has a behavior '{name}', which was not trained")
            if team not in collectors:
                collectors[team] = Collector(policies[name].memory_size, ENDLESS, device=device_of(policies[name]))
            _, these = collectors[team].receive(step)
            if len(these.total):
                ended[name].append(these)
                quiet = 0
            actions[team], _ = collectors[team].act(policies[name], explore=not deterministic)
        pool.send(actions)
    return {
        name: Evaluation(
            np.concatenate([each.total for each in all_of])[:episodes],
            np.concatenate([each.length for each in all_of])[:episodes],
        )
        for name, all_of in ended.items()
    }


def device_of(policy: Policy) -> torch.device:
    """Return where a policy's weights lie."""
    first = next(iter(policy.parameters()), None)
    return torch.device("cpu") if first is None else first.device
