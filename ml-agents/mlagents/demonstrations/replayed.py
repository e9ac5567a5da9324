"""Converts records of demonstrations to rows, as if the agents had been our own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from mlagents.data.experience import Actions, Experience, PolicyInput, PolicyOutput
from mlagents.data.rollout import Tick
from mlagents_envs.demonstrations.file import Array, Demonstration, Transitions, joined


class ReplayedDemonstration:
    """One demonstration, piece by piece. Its episodes are replayed in parallel, each in its own lane."""

    def __init__(
        self, from_env_action: Callable[[Actions], Actions], device: torch.device | str = "cpu", memory_size: int = 0
    ) -> None:
        """from_env_action: from actions of the environment to those of the policy; device: where rows go.

        memory_size: of the memory that rows have, of zeros.
        """
        self._from_env_action, self._device, self._memory_size = from_env_action, device, memory_size
        self._last: Demonstration | None = None  # last record of an unfinished episode
        self._lane = 0  # lane of that episode

    def ticks(self, records: Demonstration) -> Iterator[Tick]:
        """Yield the rows that these records complete: a row needs the record that follows it."""
        if self._last is not None:
            records = joined(self._last, records)
        rows = records.transitions()
        episode = np.cumsum(records.done) - records.done  # (n,) the number of each record's episode
        lane = (episode + self._lane) % (max(int(episode[-1]), self._lane) + 1)  # an unfinished episode keeps its lane
        self._last = None if records.done[-1] else records[-1:]
        self._lane = 0 if self._last is None else int(lane[-1])
        if not len(rows):
            return
        table = experience(rows, self._from_env_action, self._device, self._memory_size)
        after = tuple(column.to(self._device) for column in _tensors(rows.next_obs))
        place = _places(episode[rows.record])
        for turn in range(int(place.max()) + 1):
            here = torch.from_numpy(np.flatnonzero(place == turn)).to(self._device)
            part = table[here]
            lanes = torch.from_numpy(lane[rows.record]).to(self._device)[here]
            yield Tick(part, lanes, part.done, tuple(column[here] for column in after), 0)


def experience(
    rows: Transitions, from_env_action: Callable[[Actions], Actions], device: torch.device | str = "cpu",
    memory_size: int = 0,
) -> Experience:  # fmt: skip
    """Return transitions of a demonstration as rows of our own, with nothing remembered and log probabilities of 0.

    from_env_action, device, memory_size: as of `ReplayedDemonstration`.
    """
    reward = torch.from_numpy(rows.reward)
    n, nothing, zeros = len(rows), reward.new_zeros((len(rows), memory_size)), torch.zeros_like(reward)
    action = Actions(torch.from_numpy(rows.action.continuous), torch.from_numpy(rows.action.discrete).long())
    log_prob = reward.new_zeros((n, action.continuous.shape[1] + action.discrete.shape[1]))
    table = Experience(
        PolicyInput(_tensors(rows.obs), torch.from_numpy(rows.mask), nothing),
        PolicyOutput(from_env_action(action), log_prob, zeros, nothing),
        reward=reward,
        group=zeros.long(),
        group_reward=zeros,
        done=torch.from_numpy(rows.done),
        interrupted=torch.from_numpy(rows.interrupted),
    )
    return table.map(lambda column: column.to(device))


def _tensors(obs: tuple[Array, ...]) -> tuple[Tensor, ...]:
    return tuple(torch.from_numpy(column) for column in obs)


def _places(episode: Array) -> Array:
    """Return (n,) how many rows of the same episode lie before each row; episodes follow each other."""
    first = np.searchsorted(episode, episode, side="left")
    return np.arange(len(episode)) - first
