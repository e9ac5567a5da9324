"""Recognizes configurations of releases before 1.0, and keys that stand one level too high or too low."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from mlagents.settings.yaml_file import Path_

# Keys that stood flat in a behavior's section until release 0.16, and that the tables of today hold elsewhere or not
# at all.
FLAT = frozenset(
    (
        "trainer", "use_recurrent", "sequence_length", "memory_size", "batch_size", "buffer_size", "buffer_init_steps",
        "hidden_units", "num_layers", "normalize", "vis_encode_type", "beta", "epsilon", "lambd", "num_epoch",
        "learning_rate", "learning_rate_schedule", "tau", "init_entcoef", "steps_per_update", "save_replay_buffer",
        "train_interval", "num_update", "gamma", "use_curiosity", "curiosity_strength", "curiosity_enc_size",
        "brain_to_imitate",
    )
)  # fmt: skip
_BEHAVIOR = frozenset(("trainer_type", "hyperparameters", "network_settings", "reward_signals"))
_CONVERT = "Convert it with `python -m mlagents.trainers.upgrade_config {arguments} NEW.yaml`."
_MOVED = ("parameter_randomization", "curriculum")


def old_file(file: str, values: Mapping[str, Any], known: Collection[str]) -> tuple[Path_, str] | None:
    """Return the key that gives away a whole file of before 1.0 and a sentence about it, None if it is none.

    known: keys of today.
    """
    if "behaviors" in values:
        return None
    strangers = {name: given for name, given in values.items() if name not in known}
    for name, given in strangers.items():
        keys = given if isinstance(given, dict) else {}
        if is_curriculum(given) or is_curriculum(values):
            how = _CONVERT.format(arguments=f"OLD.yaml --curriculum {file}")
            return (name,), f"is a curriculum in a file of its own, as ML-Agents before 1.0 had it. {how}"
        if name == "resampling-interval" or "sampler-type" in keys:
            how = _CONVERT.format(arguments=f"OLD.yaml --sampler {file}")
            return (name,), f"is a file of samplers, as ML-Agents before 1.0 had it. {how}"
    for name, given in strangers.items():
        if isinstance(given, dict) and FLAT & given.keys():
            how = _CONVERT.format(arguments=file)
            return (name,), f"is a trainer configuration of ML-Agents before 1.0: its behaviors stand at the top. {how}"
    return None


def is_curriculum(given: Any) -> bool:
    """Are these the lessons of a behavior, as they stood in a file of their own?"""
    return (
        isinstance(given, dict)
        and isinstance(given.get("thresholds"), list)
        and isinstance(given.get("parameters"), dict)
        and all(isinstance(values, list) for values in given["parameters"].values())
    )


def old_keys(file: str, values: Mapping[str, Any], known: Collection[str]) -> Iterator[tuple[Path_, str]]:
    """Yield sections that are of before 1.0, or a level too high, each with a sentence; `values` stays as it is."""
    for name, given in values.items():
        keys = given.keys() if isinstance(given, dict) else set()
        if name in _MOVED:
            how = _CONVERT.format(arguments=file)
            yield (name,), f"is of ML-Agents before 1.0; environment_parameters has taken its place. {how}"
        elif name not in known and _BEHAVIOR & keys:
            yield (name,), "unknown key; it looks like a behavior, so write it below 'behaviors:'"
    behaviors = values.get("behaviors")
    for name, given in behaviors.items() if isinstance(behaviors, dict) else ():
        if isinstance(given, dict) and "trainer" in given and not _BEHAVIOR & given.keys() - {"reward_signals"}:
            message = (
                "has the flat form of ML-Agents before 1.0: write trainer as trainer_type, and the numbers into "
                "hyperparameters and network_settings; or write it at the top, without 'behaviors:'. "
            )
            yield ("behaviors", name), message + _CONVERT.format(arguments=file)
