"""What the YAML's `checkpoint_settings` and `torch_settings` may say."""

from __future__ import annotations

from pydantic import Field

from mlagents.schema import STEPS, Int, LenientSettings, Settings


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
    """Play without learning; nothing of the run is changed."""
    episodes: Int = Field(0, ge=0, le=STEPS)
    """Episodes after which playing without learning ends; 0 goes on until Ctrl-C."""
    results_dir: str = "results"
    """The folder of all runs."""

    @property
    def only_looks(self) -> bool:
        """Is a run played without learning, so that nothing in its folder may change?"""
        return self.inference and self.initialize_from is None


class TorchSettings(LenientSettings):
    """How networks are computed."""

    device: str | None = None
    """cpu, cuda, or cuda:N; nothing takes a GPU where there is one."""
