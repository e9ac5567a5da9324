"""The page about trainers of one's own works as it is written."""

import re
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mlagents.learn import main

PAGE = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text(encoding="utf-8")
FILES = {name: text for name, text in re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", PAGE, re.DOTALL)}


@pytest.fixture(autouse=True)
def files_of_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        Path(name).write_text(text)


def test_the_first_example_trains_as_the_page_types_it():
    (command,) = re.findall(r"```sh\nmlagents-learn (.*)\n```", PAGE)
    assert main(command.split()) == 0
    board = EventAccumulator("results/gentle/Basic")
    board.Reload()
    assert {"Losses/Policy Loss", "Losses/Value Loss", "Losses/Entropy Loss"} <= set(board.Tags()["scalars"])


def test_a_term_is_added_to_ppo_as_the_page_shows():
    text = FILES["gentle.yaml"].replace("gentle", "smooth").replace("Basic", "3DBall")
    Path("smooth.yaml").write_text(text)
    assert main(["smooth.yaml", "--plugin", "smooth.py", "--env", "builtin:3DBall", "--run-id", "smooth"]) == 0
    board = EventAccumulator("results/smooth/3DBall")
    board.Reload()
    assert "Losses/Effort Loss" in board.Tags()["scalars"]
