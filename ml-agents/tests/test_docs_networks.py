"""The page about networks holds to the code."""

import re
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from mlagents.nn import attention, normalize
from mlagents.nn.conditioning import GoalLayer
from mlagents.nn.encoders import ENCODERS, ImageEncoder
from mlagents.nn.settings import NetworkSettings
from mlagents.settings.reading import load
from mlagents_envs.base_env import DimensionProperty, ObservationSpec, ObservationType

PAGE = (Path(__file__).parents[2] / "docs" / "networks.md").read_text(encoding="utf-8")
AXES = (DimensionProperty.NONE, *2 * (DimensionProperty.TRANSLATIONAL_EQUIVARIANCE,))


def section(title):
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def encoder(kind, *shape):
    return ImageEncoder(ObservationSpec(shape, AXES, ObservationType.DEFAULT, "Camera"), kind, 128)


def weights(network):
    return sum(parameter.numel() for parameter in network.parameters())


def multiplications(network, *shape):
    """Return how many numbers are multiplied for one image."""
    found = []

    def count(layer, inputs, output):
        each = layer.in_channels * layer.kernel_size[0] ** 2 if isinstance(layer, nn.Conv2d) else layer.in_features
        found.append(output[0].numel() * each)

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    network(torch.zeros(1, *shape))
    return sum(found)


def test_every_setting_is_on_the_page_with_its_default():
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \| ", PAGE.split("\n```\n")[1], re.MULTILINE)
    assert {name: yaml.safe_load(default) for name, default in rows} == {
        name: field.default for name, field in NetworkSettings.model_fields.items()
    }


def test_the_settings_that_are_shown_are_valid():
    for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL):
        shown = yaml.safe_load(block)
        config = shown if "behaviors" in shown else {"behaviors": {"A": {"trainer_type": "ppo", **shown}}}
        assert load(config, {})[1] == []


ROWS = re.findall(r"^\| `(\w+)` \| (\d+) \| ([\d.]+) million \| ([\d.]+) million \|", section("Images"), re.MULTILINE)


def test_every_encoder_is_on_the_page_with_its_least_side():
    assert {kind: int(side) for kind, side, *_ in ROWS} == {kind: each.smallest for kind, each in ENCODERS.items()}


def rounded(number, shown):
    return f"{number / 1e6:.{len(shown.partition('.')[2])}f}"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_what_an_encoder_costs_is_what_the_page_says(row):
    kind, _, heavy, busy = row
    made = encoder(kind, 3, 84, 84)
    assert rounded(weights(made), heavy) == heavy
    assert rounded(multiplications(made, 3, 84, 84), busy) == busy


def test_what_a_board_and_a_goal_cost_is_what_the_page_says():
    (board,) = re.findall(r"at 6 . 9 . 8 the encoder has ([\d.]+) million", PAGE)
    assert rounded(weights(encoder("match3", 6, 9, 8)), board) == board
    (small, plain, large) = re.search(
        r"128 hidden units the last layer has ([\d.]+) million weights instead of (\d+) thousand, with 256 it has ([\d.]+)",
        " ".join(PAGE.split()),
    ).groups()
    assert rounded(weights(GoalLayer(128, 128, 2)), small) == small
    assert rounded(weights(GoalLayer(256, 256, 2)), large) == large
    assert round(weights(nn.Linear(128, 128)) / 1024) == int(plain)


def test_the_constants_of_the_page_are_those_of_the_code():
    text = " ".join(PAGE.split())
    assert f"cut at ±{normalize.LIMIT:g}," in text
    assert f"Embeddings have {attention.EMBEDDING} numbers and attention has {attention.HEADS} heads" in text
    assert f"squares sum to less than {attention.ABSENT} counts as absent" in text
    assert f"the root of {attention.EMBEDDING}, not of a head's {attention.EMBEDDING // attention.HEADS}" in text


def test_the_documented_name_of_goal_conditioning_is_warned_of():
    network = {"conditioning_type": "none"}
    _, warnings = load({"behaviors": {"A": {"trainer_type": "ppo", "network_settings": network}}}, {})
    assert "conditioning_type: unknown key, did you mean 'goal_conditioning_type'? (ignored)" in warnings[0]
