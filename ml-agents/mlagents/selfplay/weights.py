"""What a policy is made of, to be kept and given to a copy of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mlagents.nn.policy import Policy


@dataclass(frozen=True)
class Weights:
    """What a policy is made of: its tensors, and its public numbers, as an exploration rate that follows a schedule."""

    tensors: Mapping[str, Tensor]
    numbers: Mapping[str, Any]

    @classmethod
    def of(cls, policy: Policy) -> Weights:
        """Return a copy of a policy's."""
        tensors = {name: tensor.detach().clone() for name, tensor in policy.state_dict().items()}
        numbers = {
            name: value for name, value in vars(policy).items()
            if isinstance(value, bool | int | float) and not name.startswith("_")
        }  # fmt: skip
        return cls(tensors, numbers)

    def load_into(self, policy: Policy) -> None:
        """Give them to a policy of the same kind; raises RuntimeError for one of another."""
        policy.load_state_dict(dict(self.tensors))
        for name, value in self.numbers.items():
            setattr(policy, name, value)

    def state_dict(self) -> dict[str, Any]:
        """Return plain containers."""
        return {"tensors": dict(self.tensors), "numbers": dict(self.numbers)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Weights:
        """Return what `state_dict` gave."""
        return cls(state["tensors"], state["numbers"])
