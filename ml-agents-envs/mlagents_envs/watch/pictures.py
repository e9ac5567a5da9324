"""Records a scene as a picture or a film: .png, .gif, .webp and, with an extra, .mp4."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mlagents_envs.examples.drawing import Array, Drawing, between
from mlagents_envs.examples.look.look import Look, draw
from mlagents_envs.exception import UnityEnvironmentException
from mlagents_envs.watch.play import Play

SIZE = (640, 400)  # pixels
RATE = 20  # pictures a second that a film has at least, if decisions are rarer
KINDS = (".png", ".gif", ".webp", ".mp4")
SAMPLES = 6  # pictures from which a film's colors are taken


def check_file(path: Path) -> None:
    """Raise UnityEnvironmentException if no picture can be written there, before anything is played."""
    if path.suffix.lower() not in KINDS:
        raise UnityEnvironmentException(
            f"--record {path}: '{path.suffix or path.name}' is not a supported format; "
            f"end its name with one of {', '.join(KINDS)}"
        )
    if not path.absolute().parent.is_dir():
        raise UnityEnvironmentException(f"--record {path}: there is no folder {path.absolute().parent}; make it first")
    if path.suffix.lower() == ".mp4" and find_spec("imageio_ffmpeg") is None:
        raise UnityEnvironmentException(
            f"--record {path}: .mp4 needs imageio-ffmpeg; pip install 'mlagents-envs[video]', or record a .gif or .webp"
        )
    if find_spec("numba") is None:
        raise UnityEnvironmentException(
            f"--record {path}: painting needs numba; pip install 'mlagents-envs[examples]', or watch in a browser"
        )


def record(play: Play, look: Look, path: Path, *, seconds: float) -> int:
    """Record so many seconds of the scene and return the number of pictures.

    A .png shows the end only. All areas are shown.
    """
    decisions = max(1, round(seconds / look.seconds))
    areas = range(play.example.areas)
    drawings = [draw(play.example, areas)]
    for _ in range(decisions):
        play.decide()
        drawings.append(draw(play.example, areas))
    if path.suffix.lower() == ".png":
        del drawings[:-1]
    fine = max(1, round(look.seconds * RATE))  # pictures per decision
    shown = _smooth(drawings, fine)
    _write(path, shown, look, pace=look.seconds / fine)
    return len(shown)


def _smooth(drawings: Sequence[Drawing], fine: int) -> list[Drawing]:
    """Return drawings with others between them, so that there are `fine` for each decision."""
    steps = pairwise(drawings)
    return [between(before, after, k / fine) for before, after in steps for k in range(fine)] + [drawings[-1]]


def _write(path: Path, drawings: Sequence[Drawing], look: Look, *, pace: float) -> None:
    """pace: seconds from one picture to the next."""
    try:
        if path.suffix.lower() == ".mp4":
            _write_mp4(path, _painted(drawings, look), pace)
            return
        palette = _palette(drawings, look) if path.suffix.lower() == ".gif" else None
        pictures = (_image(array, palette) for array in _painted(drawings, look))
        if path.suffix.lower() == ".png":
            next(pictures).save(path)
            return
        how: dict[str, Any] = {"quality": 80, "method": 2} if palette is None else {"optimize": False, "disposal": 1}
        next(pictures).save(path, save_all=True, append_images=pictures, duration=round(pace * 1000), loop=0, **how)
    except OSError as error:
        raise UnityEnvironmentException(
            f"--record {path}: it cannot be written there ({error.strerror or error}); name another file"
        ) from error


class Photographer:
    """Takes pictures of drawings from one place, from which the first is seen whole."""

    def __init__(self, first: Drawing, look: Look, *, size: tuple[int, int] = SIZE) -> None:
        """size: width and height in pixels. Needs numba, whose kernels are compiled or fetched now."""
        from mlagents_envs.watch.painter import camera_on, paint

        self._camera = camera_on(first, yaw=look.yaw, pitch=look.pitch, width=size[0], height=size[1])
        self._paint = paint

    def picture(self, drawing: Drawing) -> Array:
        """Return (height, width, 3) uint8."""
        return self._paint(drawing, self._camera)


def _painted(drawings: Sequence[Drawing], look: Look) -> Iterator[Array]:
    photographer = Photographer(drawings[0], look)
    return map(photographer.picture, drawings)


def _image(picture: Array, palette: Image.Image | None) -> Image.Image:
    image = Image.fromarray(picture)
    return image if palette is None else image.quantize(palette=palette, dither=Image.Dither.NONE)


def _palette(drawings: Sequence[Drawing], look: Look) -> Image.Image:
    """Return the 256 colors that suit a whole film, so that nothing flickers."""
    chosen = [drawings[i] for i in np.linspace(0, len(drawings) - 1, SAMPLES).astype(int)]
    return Image.fromarray(np.concatenate(list(_painted(chosen, look)))).quantize(256, method=Image.Quantize.MEDIANCUT)


def _write_mp4(path: Path, pictures: Iterator[Array], pace: float) -> None:
    import imageio_ffmpeg

    film = imageio_ffmpeg.write_frames(str(path), SIZE, fps=1 / pace, macro_block_size=8)
    film.send(None)
    for picture in pictures:
        film.send(np.ascontiguousarray(picture))
    film.close()
