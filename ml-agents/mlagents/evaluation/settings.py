"""What the YAML's `evaluation` and `stop_when` of a behavior may say."""

from __future__ import annotations

from pydantic import Field

from mlagents.schema import COUNT, INT32, STEPS, Int, Settings

SEED = 10_000  # runs that draw their seed draw one below it
MAX_LENGTH = 2000  # decisions


class EvaluationSettings(Settings):
    """Episodes that are played now and then in an environment apart from training, from which nobody learns."""

    interval: Int = Field(50000, ge=1, le=STEPS)
    """Steps between evaluations."""
    episodes: Int = Field(20, ge=1, le=COUNT)
    """Episodes of each evaluation, for each team."""
    seed: Int = Field(SEED, ge=0, le=INT32)
    """Of the environment, and of actions that are drawn. Every evaluation begins with it."""
    deterministic: bool = True
    """Take the most probable actions; false draws them, as in training."""
    max_length: Int = Field(MAX_LENGTH, ge=1, le=COUNT)
    """Decisions after which an episode is cut, and counts with what it has earned: a policy may move in circles."""
    keep_best: bool = True
    """Keep the checkpoint and the model with the highest mean reward as best.pt and best.onnx."""


class StopSettings(Settings):
    """A reward at which training ends before max_steps."""

    reward: float
    """The mean reward that is enough: of an evaluation, or without one of the last episodes of training."""
    episodes: Int = Field(100, ge=1, le=COUNT)
    """Episodes of training whose mean is compared; has no effect beside evaluation."""
