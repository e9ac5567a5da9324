"""The trainer trains, obeys its settings, refuses wrong ones, and keeps what every trainer promises."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mlagents.conformance import checks
from mlagents.learn import main

CONFIG = Path(__file__).parents[1] / "the_name" / "the_name.yaml"


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], int]:
    """A function that trains a few hundred steps with this `the_setting` and returns the exit status."""
    monkeypatch.chdir(tmp_path)

    def run(the_setting: float) -> int:
        short = re.sub("max_steps: .*", "max_steps: 500", CONFIG.read_text(encoding="utf-8"))
        short = re.sub("the_setting: .*", f"the_setting: {the_setting}", short)
        Path("short.yaml").write_text(short, encoding="utf-8")
        return main(["short.yaml", "--env", "builtin:Basic", "--run-id", "short"])

    return run


def test_it_trains_with_its_settings_and_leaves_a_model(train: Callable[[float], int]) -> None:
    assert train(0.25) == 0
    assert "the_setting: 0.25" in Path("results/short/configuration.yaml").read_text(encoding="utf-8")
    assert Path("results/short/Basic.onnx").is_file()


def test_a_setting_out_of_its_range_is_refused_with_its_place(
    train: Callable[[float], int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(-1) == 2
    assert "behaviors.Basic.hyperparameters.the_setting" in capsys.readouterr().err


@pytest.mark.parametrize("check", checks("the-name"), ids=str)
def test_it_keeps_what_every_trainer_promises(check: Callable[[], object]) -> None:
    check()
