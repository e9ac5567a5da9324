import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from mlagents.data.experience import PolicyInput
from mlagents.errors import ExportError
from mlagents.export.export import build, check, dry_run, export
from mlagents.export.importers import MISSING, OPSETS, unreadable
from mlagents.nn.policy import Actor
from mlagents.nn.settings import NetworkSettings
from mlagents_envs.base_env import ActionSpec, BehaviorSpec, DimensionProperty, ObservationSpec, ObservationType
from mlagents_envs.examples import catalog as examples
from mlagents_envs.examples.example import vector_sensor

REFERENCE = Path(os.environ.get("MLAGENTS_REFERENCE", Path(__file__).parents[4] / "shared" / "reference")) / "onnx"
SPACES = {
    "continuous": ActionSpec.create_continuous(3),
    "one branch": ActionSpec.create_discrete((4,)),
    "unequal branches": ActionSpec.create_discrete((2, 5, 3)),
    "hybrid": ActionSpec.create_hybrid(2, (3, 2)),
}


def actor(action, normalize=True):
    made = Actor(
        BehaviorSpec([vector_sensor(3, "near"), vector_sensor(2, "far")], action),
        NetworkSettings(hidden_units=16, normalize=normalize),
    )
    made.observe((torch.randn(50, 3) * 4 + 1, torch.randn(50, 2)))
    return made


def shape(value):
    return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("space", SPACES)
def test_every_action_space_is_exported_for_every_opset(space, opset):
    made = actor(SPACES[space])
    model = build(made, opset=opset)
    assert model.opset_import[0].version == opset
    check(made, model)


def test_a_model_has_the_names_shapes_and_constants_that_unity_looks_for():
    graph = build(actor(SPACES["hybrid"])).graph
    assert [(i.name, shape(i)) for i in graph.input] == [
        ("obs_0", ["batch", 3]), ("obs_1", ["batch", 2]), ("action_masks", ["batch", 5]),
    ]  # fmt: skip
    assert [(o.name, shape(o)) for o in graph.output] == [
        ("version_number", [1]), ("memory_size", [1]), ("continuous_actions", ["batch", 2]),
        ("continuous_action_output_shape", [1]), ("deterministic_continuous_actions", ["batch", 2]),
        ("discrete_actions", ["batch", 2]), ("discrete_action_output_shape", [1, 2]),
        ("deterministic_discrete_actions", ["batch", 2]),
    ]  # fmt: skip


def test_constants_can_be_read_by_playing_the_model():
    session = onnxruntime.InferenceSession(build(actor(SPACES["hybrid"])).SerializeToString())
    feeds = {
        "obs_0": np.zeros((1, 3), np.float32),
        "obs_1": np.zeros((1, 2), np.float32),
        "action_masks": np.ones((1, 5), np.float32),
    }
    names = ["version_number", "memory_size", "continuous_action_output_shape", "discrete_action_output_shape"]
    assert [value.tolist() for value in session.run(names, feeds)] == [[3.0], [0.0], [2.0], [[3.0, 2.0]]]


SEEING = {
    "GridWorld": {"num_layers": 1},
    "FoodCollector": {"num_layers": 1},
    "Sorter": {},
    "Match3Visual": {"vis_encode_type": "match3", "normalize": True},
    "PushBlockCollab": {"normalize": True},
}


def shaken(spec, **network):
    """Return a policy whose weights are large enough that observations matter."""
    made = Actor(spec, NetworkSettings(hidden_units=16, **network))
    made.observe(tuple(torch.randn(50, *sensor.shape) * 3 + 1 for sensor in spec.observation_specs))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return made


@pytest.mark.parametrize("opset", (OPSETS[0], 11, 13, OPSETS[-1]))
@pytest.mark.parametrize("scene", SEEING)
def test_a_policy_that_sees_images_goals_and_entities_is_exported(scene, opset):
    pytest.importorskip("numba")
    made = shaken(examples.make(scene, areas=1).SPEC, **SEEING[scene])
    model = build(made, opset=opset)
    check(made, model)
    assert [shape(i)[1:] for i in model.graph.input][: len(made.spec.observation_specs)] == [
        list(sensor.shape) for sensor in made.spec.observation_specs
    ]


def test_a_model_that_sees_another_picture_is_found():
    axes = (DimensionProperty.NONE, *2 * (DimensionProperty.TRANSLATIONAL_EQUIVARIANCE,))
    camera = ObservationSpec((1, 20, 20), axes, ObservationType.DEFAULT, "Camera")
    for space in ("continuous", "one branch"):
        made = shaken(BehaviorSpec([camera], SPACES[space]))
        before = build(made)
        with torch.no_grad():
            made.body.images[0].layers[0].weight.neg_()
        with pytest.raises(ExportError, match="differs from the policy"):
            check(made, before)


def test_samples_of_the_model_spread_like_the_policys():
    made = actor(SPACES["hybrid"])
    session = onnxruntime.InferenceSession(build(made).SerializeToString())
    n = 4000
    feeds = {
        "obs_0": np.ones((n, 3), np.float32), "obs_1": np.ones((n, 2), np.float32),
        "action_masks": np.tile(np.array([[1, 0, 1, 1, 1]], np.float32), (n, 1)),
    }  # fmt: skip
    continuous, discrete = session.run(["continuous_actions", "discrete_actions"], feeds)
    assert continuous.std(0) == pytest.approx([1 / 3, 1 / 3], rel=0.1)
    assert np.abs(continuous).max() <= 1.0
    assert set(discrete[:, 0].tolist()) == {0, 2}
    assert set(discrete[:, 1].tolist()) == {0, 1}


def test_a_model_that_plays_otherwise_gets_no_name(tmp_path, monkeypatch):
    made, path = actor(SPACES["continuous"]), tmp_path / "model.onnx"
    export(made, path)
    before = path.read_bytes()
    with torch.no_grad():
        made.head.bias += 1.0
    other = build(actor(SPACES["continuous"]))
    monkeypatch.setattr("mlagents.export.export.build", lambda *_, **__: other)
    with pytest.raises(ExportError, match="differs from the policy"):
        export(made, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_policy_that_is_no_number_is_found_before_it_is_written(tmp_path):
    made = actor(SPACES["continuous"])
    with torch.no_grad():
        made.head.bias[0] = float("nan")
    with pytest.raises(ExportError, match="differs"):
        dry_run(made)


@pytest.mark.parametrize("opset", [8, 16, 17])
def test_an_opset_that_unity_does_not_document_is_refused(opset):
    with pytest.raises(ExportError, match=f"opset is {opset}; it must be from 9 to 15"):
        build(actor(SPACES["continuous"]), opset=opset)


def test_a_model_made_in_unity_says_the_same_with_our_layers():
    file = REFERENCE / "PushBlockCollab.onnx"
    if not file.is_file():
        pytest.skip("no model made in Unity here")
    pytest.importorskip("numba")
    theirs = onnx.load(str(file))
    weights = {each.name: torch.tensor(onnx.numpy_helper.to_array(each)) for each in theirs.graph.initializer}
    ours = Actor(examples.make("PushBlockCollab", areas=1).SPEC, NetworkSettings(hidden_units=256))
    image = ours.body.images[0].layers
    seeing, body = "network_body.observation_encoder.processors.0", "network_body._body_endoder.seq_layers"
    places = {
        f"{seeing}.conv_layers.0": image[0], f"{seeing}.conv_layers.2": image[2], f"{seeing}.dense.0": image[5],
        f"{body}.0": ours.body.layers[0], f"{body}.2": ours.body.layers[1],
        "action_model._discrete_distribution.branches.0": ours.head,
    }  # fmt: skip
    with torch.no_grad():
        for name, layer in places.items():
            layer.weight.copy_(weights[f"{name}.weight"].roll(10 if name == f"{body}.0" else 0, 1))  # vectors are first
            layer.bias.copy_(weights[f"{name}.bias"])
    logits = next(node.output[0] for node in theirs.graph.node if f"{list(places)[-1]}.weight" in node.input)
    theirs.graph.output.append(onnx.helper.make_tensor_value_info(logits, onnx.TensorProto.FLOAT, ["batch", 7]))
    obs = [torch.rand(5, 6, 20, 20), torch.randn(5, 10)]
    session = onnxruntime.InferenceSession(theirs.SerializeToString())
    feeds = {"obs_0": obs[0].numpy(), "obs_1": obs[1].numpy(), "action_masks": np.ones((5, 7), np.float32)}
    (want,) = session.run([logits], feeds)
    with torch.no_grad():
        assert np.allclose(ours.body(PolicyInput.of(tuple(obs)), ours.head).numpy(), want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", sorted(MISSING))
def test_an_operator_that_unity_lacks_is_refused_by_name(kind):
    made = actor(SPACES["continuous"])
    model = build(made)
    model.graph.node.add(op_type=kind, input=["obs_0"], output=["more"])
    with pytest.raises(ExportError, match=f"Unity's importer of models cannot read the operator {kind}"):
        check(made, model)


def test_an_operator_of_another_domain_is_refused_by_its_full_name():
    model = build(actor(SPACES["continuous"]))
    model.graph.node.add(op_type="Gelu", domain="com.microsoft", input=["obs_0"], output=["more"])
    assert unreadable(model) == ["the operator com.microsoft.Gelu"]
    model.opset_import[0].version = 17
    assert unreadable(model)[0] == "opset 17, where it documents 7 to 15"


def test_models_made_in_unity_have_nothing_that_its_importer_lacks():
    files = sorted(REFERENCE.glob("*.onnx"))
    if not files:
        pytest.skip("no models made in Unity here")
    for file in files:
        assert unreadable(onnx.load(str(file))) == [], file.name
