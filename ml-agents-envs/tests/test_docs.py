"""What the documentation shows runs as it stands there."""

import re
from pathlib import Path

import pytest

from mlagents_envs.player.executable import make_executable

PAGE = Path(__file__).parents[2] / "docs" / "environments.md"
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_the_programs_of_the_page_about_environments_run(program, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_executable(Path("builds"), "3DBall")
    names = {}
    exec(compile(program, str(PAGE), "exec"), names)
    assert "obs" in names or "decision" in names or "observations" in names
