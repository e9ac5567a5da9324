import json
import os
from pathlib import Path

import pytest
import torch

from mlagents.data.experience import PolicyInput
from mlagents.nn.attention import EMBEDDING, EntityEncoder, are_present, attend
from mlagents.nn.body import NetworkBody
from mlagents.nn.layers import layer_norm, linear
from mlagents.nn.settings import NetworkSettings


def known(name):
    shared = Path(os.environ.get("MLAGENTS_SPEC", Path(__file__).parents[4] / "shared" / "spec"))
    file = shared / "reference-vectors.json"
    if not file.is_file():
        pytest.skip("no reference vectors here")
    return json.loads(file.read_text())[name]


def some(n, most, size, there):
    """Return (n, most, size) entities, of which each row has the first `there`."""
    entities = torch.randn(n, most, size)
    entities[:, there:] = 0.0
    return entities


def test_attention_equals_the_numbers_of_the_official_trainers():
    said = known("attention")
    query, key, value = (torch.tensor(said[name]) for name in ("query", "key", "value"))
    absent = torch.tensor([said["mask"]], dtype=torch.bool)
    everybody = torch.ones_like(absent)
    assert torch.allclose(attend(query, key, value, ~absent, heads=2), torch.tensor(said["output"]), atol=1e-5)
    assert torch.allclose(
        attend(query, key, value, everybody, heads=2), torch.tensor(said["output_unmasked"]), atol=1e-5
    )


def test_who_is_absent_is_told_as_by_the_official_trainers():
    said = known("zero_entity_mask")
    assert (~are_present(torch.tensor(said["entities"]))).float().tolist() == said["mask"]


def test_the_layer_norm_equals_the_numbers_of_the_official_trainers():
    said = known("layernorm")
    assert torch.allclose(layer_norm(torch.tensor(said["x"])), torch.tensor(said["y"]), atol=1e-5)


def test_an_encoder_of_entities_has_the_layers_of_unitys_trainers():
    encoder = EntityEncoder(5, [7, 3])
    own, attention = 5 * EMBEDDING + EMBEDDING, 4 * (EMBEDDING + 1) * EMBEDDING
    each = sum((EMBEDDING + size + 1) * EMBEDDING for size in (7, 3))
    assert sum(p.numel() for p in encoder.parameters()) == own + each + attention
    assert sum(p.numel() for p in EntityEncoder(0, [7]).parameters()) == (7 + 1) * EMBEDDING + attention


def test_the_order_of_entities_changes_nothing():
    encoder, own, entities = EntityEncoder(4, [6]), torch.randn(3, 4), some(3, 8, 6, 5)
    order = torch.tensor([7, 2, 0, 5, 1, 6, 4, 3])
    assert torch.allclose(encoder(own, [entities]), encoder(own, [entities[:, order]]), atol=1e-5)


def test_places_where_nobody_is_change_nothing():
    encoder, own, entities = EntityEncoder(4, [6]), torch.randn(3, 4), torch.randn(3, 5, 6)
    entities[1, 2:] = 0.0
    padded = torch.cat([entities, torch.zeros(3, 9, 6)], 1)
    assert torch.allclose(encoder(own, [entities]), encoder(own, [padded]), atol=1e-6)
    alone = torch.stack([encoder(own[i : i + 1], [entities[i : i + 1]])[0] for i in range(3)])
    assert torch.allclose(encoder(own, [entities]), alone, atol=1e-5)


def test_an_entity_more_changes_the_answer():
    encoder, own = EntityEncoder(4, [6]), torch.randn(1, 4)
    entities = torch.randn(1, 3, 6)
    assert not torch.allclose(encoder(own, [entities]), encoder(own, [entities[:, :2]]), atol=1e-3)


def test_an_empty_buffer_is_nothing_and_teaches_nothing_infinite():
    encoder = EntityEncoder(4, [6, 2])
    own = torch.randn(3, 4, requires_grad=True)
    said = encoder(own, [torch.zeros(3, 8, 6), torch.zeros(3, 2, 2)])
    assert torch.equal(said, torch.zeros(3, EMBEDDING))
    said.sum().backward()
    assert torch.isfinite(own.grad).all()
    one = torch.zeros(3, 8, 6)
    one[0, 4] = 1.0
    said = encoder(own, [one, torch.zeros(3, 2, 2)])
    assert torch.isfinite(said).all()
    assert torch.equal(said[1:], torch.zeros(2, EMBEDDING))


@pytest.mark.parametrize("beside", [0, 4])
def test_gradients_reach_every_parameter(beside):
    encoder = EntityEncoder(beside, [6, 3])
    encoder(torch.randn(5, beside), [some(5, 8, 6, 4), some(5, 2, 3, 2)]).square().sum().backward()
    silent = {name for name, p in encoder.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}
    assert not silent - {"attention.key.bias"}  # the same number beside every logit says nothing


def test_entities_are_seen_beside_what_else_is_known(sensors):
    body = NetworkBody([sensors.entities(8, 6), sensors.vector(4)], NetworkSettings(hidden_units=16))
    obs = (some(5, 8, 6, 3), torch.randn(5, 4))
    x = body.encode(obs)
    assert torch.equal(x[:, :4], obs[1])
    assert torch.allclose(x[:, 4:], body.entities(obs[1], [obs[0]]))
    assert body(PolicyInput.of(obs), linear(16, 2, 1.0)).shape == (5, 2)


def test_entities_may_be_all_that_is_seen(sensors):
    body = NetworkBody([sensors.entities(8, 6)], NetworkSettings(hidden_units=16))
    assert body(PolicyInput.of((some(5, 8, 6, 3),)), linear(16, 2, 1.0)).shape == (5, 2)
