"""What a recording that Unity made teaches, in the settings that are published for it, without an environment."""

import os
from pathlib import Path

import pytest

import mlagents
from mlagents.settings.reading import load
from mlagents_envs.fidelity.check import scores, unity_policy

ROOT = Path(__file__).parents[2]
DEMOS = Path(os.environ.get("MLAGENTS_REFERENCE", ROOT.parent / "shared" / "reference")) / "demos"


@pytest.mark.parametrize(("name", "demo", "mean"), [("3DBall", "Expert3DBall", 90.0), ("Basic", "ExpertBasic", 0.92)])
def test_a_clone_of_unitys_recording_plays_well(name, demo, mean, tmp_path):
    file = DEMOS / f"{demo}.demo"
    if not file.is_file():
        pytest.skip("no demonstration made in Unity here")
    settings, _ = load(str(ROOT / "config" / "bc" / f"{name}.yaml"), {})
    config = settings.as_dict()
    config["behaviors"][name] |= {"demonstrations": {"sources": [{"file": str(file)}]}, "keep_checkpoints": 1}
    clone = mlagents.train({"behaviors": config["behaviors"]}, results_dir=tmp_path, run_id="clone", seed=1)
    model = clone.outcome.behaviors[name].model
    assert scores(name, unity_policy(model, name), 1001, seed=1, areas=32).mean() >= mean
