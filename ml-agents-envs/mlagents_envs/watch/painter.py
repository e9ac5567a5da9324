"""Pictures of a drawing, without a screen and without OpenGL: rays, sunlight and shadows, smoothed by supersampling."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mlagents_envs.examples.drawing import Array, Drawing
from mlagents_envs.watch.painter_numba import shade, trace

FINE = 2  # pixels per pixel of the picture, along each side
SHADOW = 2048  # texels of the sun's picture, along each side
TO_SUN = np.array([-0.45, 1.0, -0.35])
FIELD = np.tan(np.radians(19.0))  # half the picture's height, 1 m before the camera
BELOW, ABOVE = (0.94, 0.95, 0.97), (0.78, 0.84, 0.92)  # colors of the background
MARGIN = 1.04


class Camera(NamedTuple):
    """Where from, and which way, a picture is taken; kernels take it as it is."""

    eye: Array  # (3,) float32, as are the directions
    right: Array
    up: Array
    forward: Array
    scale: np.float32  # pixels per m: at a depth of 1 m in perspective, else everywhere
    width: np.float32  # pixels
    height: np.float32
    perspective: bool


def camera_on(drawing: Drawing, *, yaw: float, pitch: float, width: int, height: int) -> Camera:
    """Return a camera that has all of a drawing in its picture; yaw, pitch: degrees, in which it looks."""
    right, up, forward = _axes(np.radians(yaw), np.radians(pitch))
    x, y, z = (_corners(drawing) @ np.stack([right, up, forward], axis=1)).T
    across = FIELD * width / height
    # the sides of the picture, as planes that touch the outermost corners
    sides = [(x - across * z).max(), (-x - across * z).max(), (y - FIELD * z).max(), (-y - FIELD * z).max()]
    back = MARGIN * max((sides[0] + sides[1]) / across, (sides[2] + sides[3]) / FIELD) / 2
    eye = (sides[0] - sides[1]) / 2 * right + (sides[2] - sides[3]) / 2 * up - back * forward
    return _camera(eye, right, up, forward, height / 2 / FIELD, width, height, perspective=True)


def paint(drawing: Drawing, camera: Camera) -> Array:
    """Return a picture, (height, width, 3) uint8."""
    shapes = np.concatenate([drawing.boxes, drawing.spheres])
    rows = shapes.view(np.float32).reshape(len(shapes), -1)
    round = np.arange(len(shapes)) >= len(drawing.boxes)
    sun = _sun(drawing)
    shadow = np.empty((SHADOW, SHADOW), np.float32)
    trace(sun, rows, round, shadow, np.empty(shadow.shape, np.int32), np.empty((*shadow.shape, 3), np.float32))
    fine = camera._replace(
        scale=camera.scale * np.float32(FINE), width=camera.width * np.float32(FINE),
        height=camera.height * np.float32(FINE),
    )  # fmt: skip
    height, width = int(fine.height), int(fine.width)
    depth, which = np.empty((height, width), np.float32), np.empty((height, width), np.int32)
    normal, picture = np.zeros((height, width, 3), np.float32), _background(height, width)
    trace(fine, rows, round, depth, which, normal)
    shade(fine, sun, rows, depth, which, normal, shadow, np.float32(1.5) / sun.scale, picture)
    small = picture.reshape(height // FINE, FINE, width // FINE, FINE, 3).mean(axis=(1, 3))
    painted: Array = (small * 255 + 0.5).astype(np.uint8)
    return painted


def _sun(drawing: Drawing) -> Camera:
    """Return a camera that sees all of a drawing from where the sun is."""
    away = -TO_SUN / np.linalg.norm(TO_SUN)
    right = np.cross((0.0, 0.0, 1.0), away)
    right /= np.linalg.norm(right)
    up = np.cross(away, right)
    seen = _corners(drawing) @ np.stack([right, up, away], axis=1)
    low, high = seen.min(axis=0), seen.max(axis=0)
    middle = (low + high) / 2
    eye = middle[0] * right + middle[1] * up + (low[2] - 1.0) * away
    scale = SHADOW / (1.02 * (high - low)[:2].max())
    return _camera(eye, right, up, away, scale, SHADOW, SHADOW, perspective=False)


def _camera(
    eye: Array, right: Array, up: Array, forward: Array, scale: float, width: int, height: int, *, perspective: bool
) -> Camera:
    eye, right, up, forward = (np.ascontiguousarray(it, np.float32) for it in (eye, right, up, forward))
    return Camera(eye, right, up, forward, np.float32(scale), np.float32(width), np.float32(height), perspective)


def _axes(yaw: float, pitch: float) -> tuple[Array, Array, Array]:
    """Return right, up and forward of one who looks down by pitch, in rad; left-handed, as in Unity."""
    forward = np.array([np.sin(yaw) * np.cos(pitch), -np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
    right = np.array([np.cos(yaw), 0.0, -np.sin(yaw)])
    return right, np.cross(forward, right), forward


def _corners(drawing: Drawing) -> Array:
    """Return (8 k, 3) corners of the boxes around all shapes."""
    shapes = np.concatenate([drawing.boxes, drawing.spheres])
    sign = np.array(np.meshgrid(*[(-0.5, 0.5)] * 3)).reshape(3, 8).T
    local = sign * shapes["size"][:, None, :]
    q, w = shapes["quaternion"][:, None, :3], shapes["quaternion"][:, None, 3:]
    turned = local + 2 * np.cross(q, np.cross(q, local) + w * local)
    corners: Array = (turned + shapes["position"][:, None, :]).reshape(-1, 3)
    return corners


def _background(height: int, width: int) -> Array:
    share = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    picture = np.empty((height, width, 3), np.float32)
    picture[:] = (1 - share) * np.array(ABOVE, np.float32) + share * np.array(BELOW, np.float32)
    return picture
