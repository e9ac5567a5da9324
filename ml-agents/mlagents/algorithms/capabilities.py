"""What a trainer says that it can learn, and what a behavior asks of it."""

from __future__ import annotations

from dataclasses import dataclass

from mlagents_envs.base_env import ActionSpec


@dataclass(frozen=True)
class Needs:
    """What a behavior and its settings ask of a trainer."""

    continuous: bool = False
    discrete: bool = False
    memory: bool = False
    demonstrations: bool = False
    several_signals: bool = False
    asymmetric: bool = False

    @classmethod
    def of_actions(cls, actions: ActionSpec) -> Needs:
        """Return what these actions ask."""
        return cls(continuous=actions.continuous_size > 0, discrete=actions.discrete_size > 0)


@dataclass(frozen=True)
class Capabilities:
    """What a trainer can learn. Anything else is refused before an environment starts, with the trainers that can."""

    continuous: bool = True
    """Actions that are numbers."""
    discrete: bool = True
    """Actions that are choices."""
    hybrid: bool = True
    """Both at once."""
    memory: bool = False
    """Recurrent networks."""
    groups: bool = False
    """Agents that are rewarded as a group; others take its reward as their own, and are warned."""
    demonstrations: bool = False
    """What others did, in line with what its own agents did."""
    several_signals: bool = True
    """More than one reward signal."""
    asymmetric: bool = True
    """Sensors that only a critic sees."""

    def lacks(self, needs: Needs) -> str | None:
        """Return what is asked and cannot be done, in words; None if all of it can."""
        both = needs.continuous and needs.discrete
        asked = {
            "continuous actions beside discrete ones": both and not self.hybrid,
            "continuous actions": needs.continuous and not both and not self.continuous,
            "discrete actions": needs.discrete and not both and not self.discrete,
            "recurrent networks": needs.memory and not self.memory,
            "demonstrations": needs.demonstrations and not self.demonstrations,
            "sensors for the critic only": needs.asymmetric and not self.asymmetric,
            "several reward signals": needs.several_signals and not self.several_signals,
        }
        return next((words for words, refused in asked.items() if refused), None)
