"""The settings of `demonstrations`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_serializer, model_validator
from typing_extensions import Self

from mlagents.schema import STEPS, Int, Settings
from mlagents_envs.demonstrations.file import Align, Images

PLACES = ("file", "live")  # keys of a source, of which it has one


class SourceSettings(Settings):
    """Where demonstrations come from, file or live, and how their records are read."""

    file: str | None = None
    """A .demo file, a folder of them, or a pattern; read before training begins."""
    live: str | None = None
    """A .demo file that is still being written, or a folder into which new ones fall; followed during training."""
    align: Align = "auto"
    """Which action a record holds: the one that led there (unity), or was taken there (old); auto tells them apart."""
    images: Images = "auto"
    """How images lie that are no PNG, below a shape of channels, height, width; auto goes by the shape and warns."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [name for name in PLACES if getattr(self, name) is not None]
        if len(given) != 1:
            found = f"has {' and '.join(given)}" if given else "names no place"
            raise ValueError(f"{found}; must have one of {', '.join(PLACES)}")
        return self

    @model_serializer
    def _without_defaults(self) -> dict[str, str]:
        return {name: value for name, value in self if value != type(self).model_fields[name].default}


class DemonstrationSettings(Settings):
    """Demonstrations mixed into the batches of an off-policy trainer."""

    sources: list[SourceSettings] = Field(min_length=1)
    """Where they come from."""
    ratio: float = Field(0.5, ge=0, le=1)
    """Share of every batch that comes from demonstrations, at the start."""
    ratio_schedule: Literal["constant", "linear"] = "constant"
    """Whether the share stays, or goes to ratio_final in a straight line."""
    ratio_final: float = Field(0.0, ge=0, le=1)
    """Share when the line has ended."""
    ratio_steps: Int = Field(0, ge=0, le=STEPS)
    """Steps that the line takes; 0 takes all of max_steps."""
    protect: bool = True
    """Keep all rows; otherwise the oldest make room for new ones once there are buffer_size."""
    bc_init_steps: Int = Field(0, ge=0, le=STEPS)
    """Gradient steps that only imitate, before the first update."""
