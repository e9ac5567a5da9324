import os
from pathlib import Path

import pytest

from mlagents_envs.examples.check import main

REFERENCE = Path(os.environ.get("MLAGENTS_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"))


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="nothing made in Unity here")
def test_unitys_policies_and_recordings_fit_our_physics(capsys):
    pytest.importorskip("onnxruntime")
    assert main(["--reference", str(REFERENCE)]) == 0
    assert "every bound is met" in capsys.readouterr().out


def test_a_folder_without_anything_to_try_gets_a_sentence(tmp_path, capsys):
    assert main(["--reference", str(tmp_path)]) == 2
    assert "nothing to try" in capsys.readouterr().out
