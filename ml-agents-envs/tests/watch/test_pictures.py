import sys

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("numba")

from mlagents_envs.examples.catalog import make
from mlagents_envs.examples.look.look import look_of
from mlagents_envs.exception import UnityEnvironmentException
from mlagents_envs.watch import pictures
from mlagents_envs.watch.pictures import SIZE, check_file, record
from mlagents_envs.watch.play import Play
from mlagents_envs.watch.policies import RandomPolicy


@pytest.fixture
def play():
    env = make("3DBall", areas=1, seed=2)
    return Play(env, {env.behavior: RandomPolicy(env.SPEC)})


@pytest.mark.parametrize("ending", [".gif", ".webp"])
def test_a_film_shows_something_that_moves(play, tmp_path, ending):
    file = tmp_path / f"ball{ending}"
    count = record(play, look_of(play.example), file, seconds=0.5)
    assert count == 11  # five decisions of 0.1 s, two pictures each, and the end
    with Image.open(file) as film:
        assert film.size == SIZE
        assert 2 <= film.n_frames <= count  # what stands still is not repeated
        first = np.asarray(film.convert("RGB")).astype(int)
        film.seek(film.n_frames - 1)
        last = np.asarray(film.convert("RGB")).astype(int)
    assert (np.abs(first - last).max(axis=2) > 40).mean() > 0.01


def test_a_film_takes_as_long_as_the_scene(play, tmp_path):
    file = tmp_path / "ball.gif"
    record(play, look_of(play.example), file, seconds=1.0)
    with Image.open(file) as film:
        durations = []
        for frame in range(film.n_frames):
            film.seek(frame)
            durations.append(film.info["duration"])
    assert sum(durations) == pytest.approx(1050)


def test_a_png_shows_the_end(play, tmp_path):
    file = tmp_path / "ball.png"
    assert record(play, look_of(play.example), file, seconds=1.0) == 1
    with Image.open(file) as picture:
        seen = np.asarray(picture)
    assert seen.shape == (SIZE[1], SIZE[0], 3)
    red, _, blue = np.moveaxis(seen.astype(int), 2, 0)
    assert (blue - red > 80).mean() > 0.05  # the platform


def test_another_ending_is_a_sentence(tmp_path):
    with pytest.raises(
        UnityEnvironmentException, match=r"'\.avi' is not a supported format.* one of \.png, \.gif, \.webp, \.mp4$"
    ):
        check_file(tmp_path / "ball.avi")


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(UnityEnvironmentException, match=r"there is no folder .*nowhere; make it first$"):
        check_file(tmp_path / "nowhere" / "ball.gif")


def test_mp4_without_its_extra_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    monkeypatch.setattr(pictures, "find_spec", lambda name: None if name == "imageio_ffmpeg" else True)
    with pytest.raises(
        UnityEnvironmentException,
        match=r"needs imageio-ffmpeg; pip install 'mlagents-envs\[video\]', or record a \.gif",
    ):
        check_file(tmp_path / "ball.mp4")


def test_painting_without_numba_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "find_spec", lambda name: None)
    with pytest.raises(UnityEnvironmentException, match=r"painting needs numba; pip install"):
        check_file(tmp_path / "ball.gif")


def test_a_file_that_cannot_be_written_is_a_sentence(play, tmp_path):
    (tmp_path / "ball.png").mkdir()
    with pytest.raises(
        UnityEnvironmentException, match=r"ball\.png: it cannot be written there \(.+\); name another file$"
    ):
        record(play, look_of(play.example), tmp_path / "ball.png", seconds=0.1)


def test_mp4_is_written_where_its_extra_is(play, tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    record(play, look_of(play.example), tmp_path / "ball.mp4", seconds=0.5)
    assert (tmp_path / "ball.mp4").read_bytes()[4:8] == b"ftyp"
