import numpy as np

from mlagents_envs.examples.drawing import Drawing, shapes
from mlagents_envs.watch.frames import decode, encode

BOX = shapes((1, 2, 3), size=(4, 5, 6), color=(0.5, 0.25, 0.125), quaternion=(0, 1, 0, 0))


def test_what_is_encoded_comes_back():
    drawing = Drawing(
        BOX, shapes([(0, 0, 0), (1, 1, 1)], size=(1, 1, 1), color=(1, 0, 0)), np.array([[7, 8, 9]], np.float32)
    )
    facts, (boxes, spheres, agents) = decode(encode({"title": "Ä", "n": 1}, drawing))
    assert facts == {"title": "Ä", "n": 1, "count": {"boxes": 1, "spheres": 2, "agents": 1}}
    assert boxes.tolist() == [[1, 2, 3, 0, 1, 0, 0, 4, 5, 6, 0.5, 0.25, 0.125]]
    assert spheres[:, :3].tolist() == [[0, 0, 0], [1, 1, 1]]
    assert agents.tolist() == [[7, 8, 9]]


def test_numbers_begin_at_a_whole_four_bytes_as_browsers_need_them():
    for length in range(8):
        frame = encode({"title": "x" * length}, Drawing(BOX))
        assert int.from_bytes(frame[:4], "little") % 4 == 0


def test_an_empty_scene_is_a_frame_too():
    facts, numbers = decode(encode({}, Drawing()))
    assert facts["count"] == {"boxes": 0, "spheres": 0, "agents": 0} and not any(map(len, numbers))
