import pytest
import torch
from torch import nn

from mlagents.data.experience import PolicyInput
from mlagents.nn import encoders
from mlagents.nn.body import NetworkBody
from mlagents.nn.encoders import ENCODERS, ImageEncoder
from mlagents.nn.layers import UnsupportedNetwork, linear
from mlagents.nn.settings import NetworkSettings

OUTPUTS = 24


def convolution(inputs, outputs, side):
    return inputs * outputs * side * side + outputs


def dense(inputs):
    return inputs * OUTPUTS + OUTPUTS


def residual(channels):
    return 2 * convolution(channels, channels, 3)


# for 3 x 44 x 60: what the sides become is worked out by (n - side) // stride + 1
PARAMETERS = {
    "simple": convolution(3, 16, 8) + convolution(16, 32, 4) + dense(32 * 4 * 6),
    "nature_cnn": convolution(3, 32, 8) + convolution(32, 64, 4) + convolution(64, 64, 3) + dense(64 * 2 * 4),
    "resnet": (
        convolution(3, 16, 3) + 2 * residual(16) + convolution(16, 32, 3) + 2 * residual(32)
        + convolution(32, 32, 3) + 2 * residual(32) + dense(32 * 4 * 6)
    ),
    "match3": convolution(3, 35, 3) + convolution(35, 144, 3) + dense(144 * 40 * 56),
    "fully_connected": dense(3 * 44 * 60),
}  # fmt: skip


@pytest.mark.parametrize("kind", ENCODERS)
def test_an_encoder_has_the_layers_that_its_name_promises(kind, sensors):
    encoder = ImageEncoder(sensors.image(3, 44, 60), kind, OUTPUTS)
    assert sum(p.numel() for p in encoder.parameters()) == PARAMETERS[kind]
    assert encoder(torch.rand(5, 3, 44, 60)).shape == (5, OUTPUTS)
    assert encoder(torch.rand(0, 3, 44, 60)).shape == (0, OUTPUTS)


@pytest.mark.parametrize("kind", ENCODERS)
def test_the_smallest_image_is_encoded_and_a_smaller_one_refused(kind, sensors):
    smallest = ENCODERS[kind].smallest
    ImageEncoder(sensors.image(1, smallest, smallest + 3), kind, OUTPUTS)
    if smallest == 1:
        return
    sizes = rf"sensor 'Camera' has images of {smallest + 3} x {smallest - 1}"
    with pytest.raises(UnsupportedNetwork, match=rf"{sizes}: vis_encode_type '{kind}' needs at least {smallest} x"):
        ImageEncoder(sensors.image(1, smallest + 3, smallest - 1), kind, OUTPUTS)


def test_a_refusal_says_which_encoders_would_do(sensors):
    with pytest.raises(UnsupportedNetwork, match="use 'resnet' or 'match3' or 'fully_connected', or larger images"):
        ImageEncoder(sensors.image(3, 16, 16), "nature_cnn", OUTPUTS)


@pytest.mark.parametrize("kind", ENCODERS)
def test_gradients_reach_every_parameter(kind, sensors):
    encoder = ImageEncoder(sensors.image(2, 40, 40), kind, OUTPUTS)
    encoder(torch.rand(4, 2, 40, 40)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())


def test_convolutions_say_the_same_with_gradients_and_without(sensors):
    encoder, image = ImageEncoder(sensors.image(3, 40, 40), "simple", OUTPUTS), torch.rand(6, 3, 40, 40)
    learning = encoder(image)
    with torch.no_grad():
        assert torch.allclose(encoder(image), learning, atol=1e-6)


def test_many_images_pass_in_parts_and_come_out_whole(sensors, monkeypatch):
    encoder, image = ImageEncoder(sensors.image(3, 40, 40), "simple", OUTPUTS), torch.rand(7, 3, 40, 40)
    with torch.no_grad():
        together = encoder(image)
        monkeypatch.setattr(encoders, "AT_ONCE", 3)
        assert torch.allclose(encoder(image), together, atol=1e-6)


def test_bytes_are_seen_as_parts_of_one(sensors):
    encoder = ImageEncoder(sensors.image(3, 24, 24), "simple", OUTPUTS)
    pixels = torch.randint(0, 256, (4, 3, 24, 24), dtype=torch.uint8)
    assert torch.allclose(encoder(pixels), encoder(pixels / 255), atol=1e-6)
    with torch.no_grad():
        assert torch.allclose(encoder(pixels), encoder(pixels / 255), atol=1e-6)


def test_a_residual_block_adds_what_its_convolutions_find():
    block, x = encoders.ResidualBlock(4), torch.rand(2, 4, 6, 6)
    for layer in block.inside:
        if isinstance(layer, nn.Conv2d):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
    assert torch.equal(block(x), x)


def test_vectors_and_images_lie_side_by_side_and_only_vectors_are_normalized(sensors):
    body = NetworkBody(
        [sensors.vector(3), sensors.image(1, 20, 20), sensors.vector(2), sensors.image(4, 24, 20)],
        NetworkSettings(hidden_units=16, normalize=True, vis_encode_type="fully_connected"),
    )
    obs = (torch.randn(5, 3) * 9, torch.rand(5, 1, 20, 20), torch.randn(5, 2), torch.rand(5, 4, 24, 20))
    body.observe(obs)
    x = body.encode(obs)
    assert x.shape == (5, 3 + 2 + 16 + 16)
    assert torch.equal(x[:, :5], body.normalizer(torch.cat([obs[0], obs[2]], 1)))
    assert torch.allclose(x[:, 5:21], body.images[0](obs[1]))
    assert body(PolicyInput.of(obs), linear(16, 2, 1.0)).shape == (5, 2)
    assert not body.is_mlp


def test_images_alone_need_no_normalizer(sensors):
    body = NetworkBody([sensors.image(3, 20, 20)], NetworkSettings(normalize=True))
    assert body.normalizer is None
    body.observe((torch.rand(2, 3, 20, 20),))


def test_the_dense_layers_behind_images_have_the_gradients_of_autograd(sensors):
    body, head = NetworkBody([sensors.image(1, 20, 20)], NetworkSettings(hidden_units=8)), linear(8, 2, 1.0)
    image, parameters = torch.rand(6, 1, 20, 20), [*body.parameters(), *head.parameters()]
    got = torch.autograd.grad(body(PolicyInput.of((image,)), head).square().sum(), parameters)
    want = torch.autograd.grad(body.reference(body.encode((image,)), head).square().sum(), parameters)
    for mine, theirs in zip(got, want, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-5)
