"""What the YAML's `checkpoint_settings` and `torch_settings` may say."""

from __future__ import annotations

from mlagents.schema import LenientSettings, Settings


class CheckpointSettings(Settings):
    """Where results go, and what a run begins from."""

    run_id: str = "ppo"
    """The run's name, and that of its folder."""
    initialize_from: str | None = None
    """Another run, whose weights this one begins with."""
    load_model: bool = False
    """Deprecated: resume."""
    resume: bool = False
    """Go on where the run of this name stood."""
    force: bool = False
    """Begin anew although there is a run of this name."""
    train_model: bool = False
    """Deprecated: has no effect."""
    inference: bool = False
    """Play without learning."""
    results_dir: str = "results"
    """The folder of all runs."""


class TorchSettings(LenientSettings):
    """How networks are computed."""

    device: str | None = None
    """cpu, cuda, or cuda:N; nothing takes a GPU where there is one."""
