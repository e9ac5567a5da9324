"""What every section of the settings is made from."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

INT32 = 2**31 - 1  # seeds and counts travel to Unity as whole numbers of 32 bits
FLOAT32 = 3.4e38  # and numbers as floats
PORTS = 65535  # the last port there is
STEPS = 10**15  # more than are ever taken: as good as no limit
COUNT = 10**9  # of whatever is counted in memory, or now and then
UNITS = 2**14  # width of a layer


class Settings(BaseModel):
    """A section of the YAML: frozen, checked, and documented by the strings below its fields."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
        coerce_numbers_to_str=True,
        allow_inf_nan=False,
    )

    @model_validator(mode="before")
    @classmethod
    def _empty(cls, given: Any) -> Any:
        return {} if given is None else given  # a section with nothing below its key


class LenientSettings(Settings):
    """A section in which Unity's tools ignore unknown keys; here they are a warning with the near name."""

    model_config = ConfigDict(extra="ignore")


def _whole(given: Any) -> Any:
    """YAML 1.1 reads 1.0e7 as a string and 5.0e+5 as a float."""
    if isinstance(given, str):
        try:
            given = float(given)
        except ValueError:
            return given
    return int(given) if isinstance(given, float) and given.is_integer() else given


Float32 = Annotated[float, Field(ge=-FLOAT32, le=FLOAT32)]
"""A number that may be sent to Unity."""
Int = Annotated[int, BeforeValidator(_whole)]
"""A whole number, however YAML spells it."""
