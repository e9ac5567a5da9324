"""From an image or a grid to features, by one of the networks that `vis_encode_type` names."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mlagents.nn.layers import UnsupportedNetwork, is_traced, linear
from mlagents_envs.base_env import ObservationSpec

GAIN = 1.41  # of the dense layer, sqrt(2) as Unity's trainers round it
AT_ONCE = 1024  # images that pass together while nothing is learnt, so that layers of a whole rollout fit in memory


class ImageEncoder(nn.Module):
    """Convolutions, then one dense layer."""

    def __init__(self, sensor: ObservationSpec, kind: str, outputs: int) -> None:
        """kind: as in `NetworkSettings.vis_encode_type`. Raises UnsupportedNetwork where the image is too small."""
        super().__init__()
        _, height, width = sensor.shape
        smallest, make = ENCODERS[kind]
        if min(height, width) < smallest:
            raise UnsupportedNetwork(
                f"sensor '{sensor.name}' has images of {height} x {width}: vis_encode_type '{kind}' needs at least "
                f"{smallest} x {smallest}; {_fitting(min(height, width))}"
            )
        convolutions, activation = make(sensor.shape[0])
        with torch.no_grad():
            size = nn.Sequential(*convolutions)(torch.zeros(1, *sensor.shape)).numel()
        self.layers = nn.Sequential(*convolutions, nn.Flatten(), linear(size, outputs, GAIN), activation)

    def forward(self, image: Tensor) -> Tensor:
        """Return (n, outputs); image: (n, channels, height, width) float32, or uint8 that means 0 to 255 parts of 1."""
        if is_traced():
            return self._encode(image, torch.contiguous_format)
        if torch.is_grad_enabled():  # gradients of convolutions are quicker with the channels last
            return self._encode(image, torch.channels_last)
        parts = [self._encode(part, torch.contiguous_format) for part in torch.split(image, AT_ONCE)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _encode(self, image: Tensor, layout: torch.memory_format) -> Tensor:
        floats = image.to(torch.float32, memory_format=layout)
        encoded: Tensor = self.layers(floats / 255 if image.dtype == torch.uint8 else floats)
        return encoded


class ResidualBlock(nn.Module):
    """What is added to an image by two convolutions. He et al. 2016, arXiv:1603.05027."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inside = nn.Sequential(
            nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1),
            nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Return an image of the same shape."""
        added: Tensor = x + self.inside(x)
        return added


Layers = tuple[list[nn.Module], nn.Module]  # convolutions, and what bends the output of the dense layer


def _convolutions(*sizes: tuple[int, int, int]) -> Callable[[int], Layers]:
    """Return what makes convolutions of these (channels, side, stride)."""

    def make(channels: int) -> Layers:
        layers: list[nn.Module] = []
        for outputs, side, stride in sizes:
            layers += [nn.Conv2d(channels, outputs, side, stride), nn.LeakyReLU()]
            channels = outputs
        return layers, nn.LeakyReLU()

    return make


def _resnet(channels: int) -> Layers:
    """As in IMPALA. Espeholt et al. 2018, arXiv:1802.01561, figure 3."""
    layers: list[nn.Module] = []
    for outputs in (16, 32, 32):
        layers += [nn.Conv2d(channels, outputs, 3, padding=1), nn.MaxPool2d(3, 2)]
        layers += [ResidualBlock(outputs), ResidualBlock(outputs)]
        channels = outputs
    return [*layers, nn.SiLU()], nn.ReLU()


class Encoder(NamedTuple):
    """How images are encoded."""

    smallest: int  # side of an image
    make: Callable[[int], Layers]  # of its channels


ENCODERS = {
    "simple": Encoder(20, _convolutions((16, 8, 4), (32, 4, 2))),
    # Mnih et al. 2015, doi:10.1038/nature14236
    "nature_cnn": Encoder(36, _convolutions((32, 8, 4), (64, 4, 2), (64, 3, 1))),
    "resnet": Encoder(15, _resnet),
    "match3": Encoder(5, _convolutions((35, 3, 1), (144, 3, 1))),
    "fully_connected": Encoder(1, _convolutions()),
}


def _fitting(side: int) -> str:
    fitting = [f"'{kind}'" for kind, encoder in ENCODERS.items() if encoder.smallest <= side]
    return f"use {' or '.join(fitting)}, or larger images"
