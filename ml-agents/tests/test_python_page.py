"""What docs/python.md, the notebook beside it and the page about demonstrations show runs as it stands there."""

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import yaml

from mlagents_envs.demonstrations.file import read
from mlagents_envs.exception import UnityPolicyException

pytest.importorskip("numba")
pytest.importorskip("gymnasium")

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
DEMONSTRATIONS = (ROOT / "docs" / "demonstrations.md").read_text(encoding="utf-8")
NOTEBOOK = json.loads((ROOT / "docs" / "from_python.ipynb").read_text(encoding="utf-8"))
NEEDS = {"Stable-Baselines3": "stable_baselines3"}
SHORTER = {"n_steps=1024": "n_steps=16", "learn(300_000)": "learn(400)"}


def section(page, title):
    (found,) = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    return found


def programs(text, kind="python"):
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [inside for is_of, inside in blocks if is_of == kind]


SECTIONS = [title for title in re.findall(r"^## (.+)$", PAGE, re.MULTILINE) if programs(section(PAGE, title))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where a run has left its model, and a demonstration was recorded as its page says."""
    folder = tmp_path_factory.mktemp("python")
    config = yaml.safe_load((ROOT / "config" / "ppo" / "3DBall.yaml").read_text(encoding="utf-8"))
    config["behaviors"]["3DBall"]["max_steps"] = 200
    (folder / "3DBall.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (record,) = (text for text in programs(DEMONSTRATIONS) if text.startswith("# record.py"))
    (folder / "record.py").write_text(record, encoding="utf-8")
    train = [sys.executable, "-m", "mlagents", "3DBall.yaml", "--env", "builtin:3DBall", "--run-id", "3dball"]
    for command in (train, [sys.executable, "record.py"]):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def inside(folder, monkeypatch):
    monkeypatch.chdir(folder)


def test_the_page_is_found_from_the_others():
    for file in ("README.md", "docs/environments.md"):
        assert "python.md)" in (ROOT / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("title", SECTIONS)
def test_the_programs_of_a_section_run_one_after_another(title, inside, capsys):
    if title in NEEDS and find_spec(NEEDS[title]) is None:
        pytest.skip(f"{NEEDS[title]} is not installed")
    variables = {}
    for program in programs(section(PAGE, title)):
        for long, short in SHORTER.items():
            program = program.replace(long, short)
        exec(compile(program, f"python.md: {title}", "exec"), variables)
    shown = re.findall(r"print\(.*\)  # (.+)$", section(PAGE, title), re.MULTILINE)
    assert [line for line in shown if line not in capsys.readouterr().out] == []
    assert "picture" not in variables or variables["picture"].shape == (400, 640, 3)


def test_every_shortening_still_finds_what_it_shortens():
    assert [long for long in SHORTER if long not in PAGE] == []


def test_the_sentence_of_the_page_is_the_one_that_is_raised(inside):
    import mlagents

    model = mlagents.Model("results/3dball/3DBall.onnx")
    (shown,) = programs(section(PAGE, "A model"), kind="")
    with pytest.raises(UnityPolicyException) as error:
        model.act(np.zeros(7))
    assert str(error.value).replace("\\", "/") == shown.strip()


def test_what_act_returns_has_the_shapes_of_the_page(inside):
    import mlagents

    output = mlagents.Model("results/3dball/3DBall.onnx").act(np.zeros((5, 8)))
    sizes = {"n": 5, "C": 2, "B": 0, "M": 0}
    assert rows_of_table(section(PAGE, "A model"), "output", output, sizes) == {"continuous", "discrete", "memory"}


def test_the_columns_of_a_demonstration_have_the_shapes_of_its_page(inside):
    rows = read("demos/right.demo").transitions()
    sizes = {"n": len(rows), "*shape": 20, "sum of branches": 3, "C": 0, "B": 1}
    told = rows_of_table(section(DEMONSTRATIONS, "What a record holds"), "rows", rows, sizes)
    columns = {name.split(".")[0] for name in told}
    assert columns == set(type(rows).__dataclass_fields__)


def rows_of_table(text, name, value, sizes):
    """Hold the rows `name.column` | shape dtype against a value, and return the columns that are told so."""
    told = set()
    for column, shape, dtype in re.findall(rf"^\| `{name}\.([\w.]+)` \| \((.+?)\) (\w+)", text, re.MULTILINE):
        array = value
        for part in column.split("."):
            array = getattr(array, part)
        for one in array if isinstance(array, tuple) else [array]:
            expected = tuple(sizes[size.strip()] for size in shape.strip(",").split(","))
            assert (one.shape, str(one.dtype)) == (expected, dtype), column
        told.add(column)
    return told


def test_the_cells_of_the_notebook_run_one_after_another(inside):
    assert NOTEBOOK["nbformat"] == 4
    assert len({cell["id"] for cell in NOTEBOOK["cells"]}) == len(NOTEBOOK["cells"])
    cells = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in cells)  # they would rot
    variables = {}
    for cell in cells:
        exec(compile("".join(cell["source"]), f"from_python.ipynb: {cell['id']}", "exec"), variables)
    assert variables["earned"] > 0
    assert variables["rows"].obs[0].shape[1:] == (8,)
    assert variables["score"].mean_return > 0
