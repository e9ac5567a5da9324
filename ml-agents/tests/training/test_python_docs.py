"""The code of the page about Python runs as it is printed."""

import inspect
import re
from pathlib import Path

from mlagents import train

PAGE = Path(__file__).parents[3] / "docs" / "python.md"
TRAIN = re.search(r"^## Train$.*?(?=^## |\Z)", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)[0]


def test_the_section_about_training_runs_from_top_to_bottom(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```$", TRAIN, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 3
    names = {"__name__": "page"}
    for block in blocks:
        exec(compile(block, "python.md", "exec"), names)
    assert Path("results/first/Basic.onnx").is_file() and Path("basic.onnx").is_file()
    assert "<TrainingResult finished: Basic: " in capsys.readouterr().out


def test_every_argument_is_on_the_page():
    missing = [name for name in inspect.signature(train).parameters if f"`{name}`" not in TRAIN]
    assert not missing
