"""What every section of the settings is made from."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A section of the YAML: frozen, checked, and documented by the strings below its fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True)


class LenientSettings(Settings):
    """A section in which Unity's tools ignore unknown keys; here they are a warning with the near name."""

    model_config = ConfigDict(extra="ignore")
