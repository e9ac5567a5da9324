"""Images of a replay buffer: each lies there once, as bytes where it was made of bytes, and comes out as it came in."""

import io
from dataclasses import replace

import pytest
import torch

from mlagents.data.experience import PolicyInput
from mlagents.data.frames import Frames, as_bytes
from mlagents.data.n_step import NStepReturns
from mlagents.data.replay import ReplayBuffer
from mlagents.data.rollout import Tick

SHAPE = (1, 2, 3)
BYTES = torch.arange(256) / 255


def pictures(numbers):
    """Return images of these numbers, (n, 1, 2, 3) float32, each value a k / 255."""
    digits = [torch.tensor(numbers) // 256**power % 256 for power in range(6)]
    return (torch.stack(digits, 1).reshape(-1, *SHAPE) / 255).float()


def numbers_of(images):
    return ((bright(images).flatten(1) * 255).round().long() * 256 ** torch.arange(6)).sum(1).tolist()


def bright(images):
    return images / 255 if images.dtype == torch.uint8 else images


def through_a_file(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


class Lanes:
    """Feeds a buffer ticks of agents that see a picture and a vector, and keeps what should be there row by row."""

    def __init__(self, experience, buffer, n=1, kind=torch.float32, lanes=5):
        self.experience, self.buffer, self.n, self.kind = experience, buffer, n, kind
        self.returns = NStepReturns(n, gamma=[0.5], ignores_done=[False], frames=buffer.frames)
        self.naive = []  # of rows that left, oldest first: (reward, seen, seen next, done)
        self.open = {lane: [] for lane in range(lanes)}  # rows that wait: [reward, seen, seen next, done]
        self.seen = {lane: lane for lane in range(lanes)}
        self.next = 1000  # a picture that nobody saw yet

    def tick(self, lane, done, cut):
        """One row in each of these lanes; all that is ever seen and earned is another number."""
        reward = [float(self.next + i) for i in range(len(lane))]
        self.next += len(lane)
        seen, after = [self.seen[one] for one in lane], [self.fresh() for _ in lane]
        rows = self.experience([float(x) for x in seen], reward, done, cut)
        vector, image = rows.input.obs[0], self.images(seen)
        rows = replace(rows, input=replace(rows.input, obs=(image, vector, image.flip(3))))
        image = self.images(after)
        tick = Tick(rows, torch.tensor(lane), rows.done, (image, torch.tensor(after)[:, None].float(), image.flip(3)), 0)
        self.append(self.returns.take(tick, rows.reward[:, None]))
        for i, one in enumerate(lane):
            self.open[one].append([reward[i], seen[i], None, done[i]])
            if len(self.open[one]) > self.n:
                self.leave(one, seen[i])
            self.seen[one] = after[i]
        for one in (one for one, over in zip(lane, done, strict=True) if over):
            self.end(one)

    def close(self, lane):
        self.append(self.returns.close(torch.tensor(lane)))
        for one in lane:
            self.end(one)

    def end(self, lane):
        while self.open[lane]:
            self.leave(lane, self.seen[lane])
        self.seen[lane] = self.fresh()

    def leave(self, lane, followed):
        reward, seen, _, done = self.open[lane].pop(0)
        self.naive.append((reward, seen, followed, done))

    def fresh(self):
        self.next += 1
        return self.next

    def images(self, numbers):
        images = pictures(numbers)
        return images if self.kind == torch.float32 else (images * 255).round().to(self.kind)

    def append(self, parts):
        for part in parts:
            self.buffer.append(part.transitions)

    def check(self, buffer=None):
        """Are the rows that can be sampled just those of the naive store, which is as large?"""
        buffer = buffer or self.buffer
        expected = {row[0]: row for row in self.naive[-buffer.capacity :]}
        assert len(buffer) == len(expected)
        sample = buffer.sample(4 * buffer.capacity)
        obs, after = sample.rows.input.obs, sample.next_input.obs
        found = zip(sample.rows.reward.tolist(), *map(numbers_of, (obs[0], after[0])),
                    sample.rows.done.tolist(), strict=True)  # fmt: skip
        for row in found:
            assert row == expected[row[0]]
        for input in (obs, after):
            assert input[0].dtype == input[2].dtype == self.kind
            assert torch.equal(input[0], input[2].flip(3))
            assert numbers_of(input[0]) == input[1][:, 0].int().tolist()


@pytest.mark.parametrize("kind", [torch.float32, torch.uint8])
@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("capacity", [2, 7, 40])
def test_what_is_sampled_equals_a_store_that_keeps_everything_twice(experience, capacity, n, kind):
    rng = torch.Generator().manual_seed(10 * capacity + n)
    draw = lambda probability: bool(torch.rand(1, generator=rng) < probability)  # noqa: E731
    lanes = Lanes(experience, ReplayBuffer(capacity), n, kind)
    for _ in range(120):
        here = torch.randperm(5, generator=rng)[: 1 + int(torch.randint(5, (1,), generator=rng))].tolist()
        done = [draw(0.15) for _ in here]
        lanes.tick(here, done, [over and draw(0.5) for over in done])
        if draw(0.1):
            lanes.close([int(torch.randint(5, (1,), generator=rng))])
        if len(lanes.buffer):
            lanes.check()
    again = ReplayBuffer(capacity)
    again.load_state_dict(through_a_file(lanes.buffer.state_dict()))
    lanes.check(again)
    stored = {number for row in lanes.naive[-capacity:] for number in row[1:3]}
    assert again.frames.used == len(stored)
    assert lanes.buffer.frames.used == len(stored | {row[1] for rows in lanes.open.values() for row in rows})


def test_a_buffer_of_pictures_of_the_grid_takes_an_eighth_of_what_two_floats_a_pixel_take(experience):
    # 64 x 84 x 3 pixels: 16,128 bytes a picture, where float32 pictures before and after took 129,024
    buffer, shape, rows = ReplayBuffer(2000), (3, 64, 84), 0
    returns = NStepReturns(1, gamma=[0.9], ignores_done=[False], frames=buffer.frames)
    seen = torch.zeros(10, *shape)
    while len(buffer) < 2000:
        rows += 1
        table = experience([0.0] * 10, done=[rows % 40 == 0] * 10)
        table = replace(table, input=replace(table.input, obs=(seen,)))
        seen = seen + 1 / 255 if rows % 200 else torch.zeros(10, *shape)
        seen = (seen * 255).round() / 255
        for part in returns.take(Tick(table, torch.arange(10), table.done, (seen,), 0), table.reward[:, None]):
            buffer.append(part.transitions)
    assert buffer.frames.used <= 2000 * 41 / 40 + 20  # one a row, one an end, and those of rows that wait
    assert buffer.nbytes / 2000 < 16_128 * 2.3  # a block has room for 4096
    state = buffer.state_dict()
    saved = sum(column.numel() * column.element_size() for column in state["columns"].values())
    saved += state["frames"]["0"]["images"].numel()
    assert saved / 2000 < 16_128 * 1.03


def test_pictures_that_are_not_made_of_bytes_stay_as_exact_as_they_were():
    frames = Frames()
    bright = frames.put(PolicyInput.of((torch.full((2, *SHAPE), 3 / 255),)))
    exact = frames.put(PolicyInput.of((torch.full((1, *SHAPE), 0.3),)))
    later = frames.put(PolicyInput.of((torch.full((1, *SHAPE), 7 / 255),)))
    found = [frames.images(rows).obs[0] for rows in (bright, exact, later)]
    assert [set(images.flatten().tolist()) for images in found] == [
        set(torch.tensor([value]).tolist()) for value in (3 / 255, 0.3, 7 / 255)
    ]


@pytest.mark.parametrize("value", [0.5, -1 / 255, 256 / 255, float("nan"), 1e9, 1 / 255 + 1e-7])
def test_only_values_that_are_exactly_parts_of_255_become_bytes(value):
    assert torch.equal(as_bytes(BYTES), torch.arange(256, dtype=torch.uint8))
    assert as_bytes(torch.cat([BYTES, torch.tensor([value])])) is None


def test_vectors_and_sets_of_entities_stay_in_their_rows():
    input = PolicyInput.of((torch.zeros(2, 3), torch.zeros(2, 4, 3)))
    frames = Frames()
    assert frames.put(input) is input
    assert frames.empty


def test_an_image_is_forgotten_with_the_last_row_that_shows_it():
    frames = Frames()
    rows = frames.put(PolicyInput.of((torch.zeros(3, *SHAPE),)))
    frames.share(rows[:1])
    frames.drop(rows)
    assert frames.used == 1
    frames.drop(rows[:1])
    assert frames.used == 0


def test_a_buffer_takes_rows_with_their_images_too(experience):
    lanes, buffer = Lanes(experience, ReplayBuffer(4)), ReplayBuffer(4)
    for _ in range(3):
        lanes.tick([0, 1, 2], [False] * 3, [False] * 3)
        buffer.append(lanes.buffer.sample(3)) if len(lanes.buffer) else None
    lanes.check()
    assert len(buffer) == 4
    shown = {(a, b) for a, b in zip(*(numbers_of(obs[0]) for obs in pair(buffer.sample(50))), strict=True)}
    assert shown <= {row[1:3] for row in lanes.naive}
    buffer.clear()
    assert (len(buffer), buffer.frames.used) == (0, 0)


def pair(rows):
    return rows.rows.input.obs, rows.next_input.obs


def test_a_buffer_of_before_images_were_kept_apart_is_taken(experience):
    lanes, again = Lanes(experience, ReplayBuffer(6)), ReplayBuffer(6)
    for _ in range(3):
        lanes.tick([0, 1], [False] * 2, [False] * 2)
    rows = lanes.buffer.sample(6)
    again.load_state_dict({"seen": 6, "columns": dict(rows.named_columns())})
    for mine, theirs in zip(pair(again.sample(20)), pair(rows), strict=True):
        assert set(numbers_of(mine[0])) <= set(numbers_of(theirs[0]))
