"""What the page about watching shows works as it stands there."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from mlagents_envs.examples.catalog import make
from mlagents_envs.watch import command, policies

PAGE = (Path(__file__).parents[3] / "docs" / "watching.md").read_text(encoding="utf-8")
TYPED = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
COMMANDS = [shlex.split(line, comments=True)[1:] for line in TYPED if line.startswith("mlagents-watch")]
PICTURES = [words for words in COMMANDS if "--record" in words]
LIVE = [words for words in COMMANDS if "--record" not in words]


@pytest.mark.parametrize("words", LIVE, ids=" ".join)
def test_a_page_opens_as_it_is_shown(words, tmp_path, monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.chdir(tmp_path)
    played = []
    monkeypatch.setattr(command, "open_page", lambda address: True)
    monkeypatch.setattr(command, "_model_of_run", lambda flags, behavior: Path("model.onnx"))
    monkeypatch.setattr("mlagents_envs.examples.policy.ModelPolicy", lambda path, spec, behavior: policies.IdlePolicy(spec))
    monkeypatch.setattr("mlagents_envs.watch.live.Live.run", lambda live: played.append(live._play.decide()))
    assert command.main(words) == 0
    assert len(played) == 1


@pytest.mark.parametrize("words", PICTURES, ids=" ".join)
def test_a_picture_is_made_as_it_is_shown(words, tmp_path, monkeypatch):
    pytest.importorskip("numba")
    file = Path(words[words.index("--record") + 1])
    if file.suffix == ".mp4":
        pytest.importorskip("imageio_ffmpeg")
    monkeypatch.chdir(tmp_path)
    assert command.main([*words, "--seconds", "0.1"]) == 0  # the last one counts
    assert file.stat().st_size > 1000


def test_the_look_that_is_shown_draws_basic():
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names = {}
    exec(compile(program, "watching.md", "exec"), names)
    env = make("Basic", areas=1)
    env.reset()
    drawing = names["LOOK"].draw(env, 0)
    assert drawing.agents.tolist() == [[0, 0.5, 0]]
    assert np.array_equal(drawing.spheres["position"][1], drawing.agents[0])


def test_the_page_tells_of_every_flag():
    flags = re.findall(r"--[a-z-]+", command._parser().format_usage())
    assert [flag for flag in flags if flag not in PAGE] == []
