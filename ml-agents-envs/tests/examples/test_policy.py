import os
from pathlib import Path

import numpy as np
import pytest

from mlagents_envs.base_env import ActionSpec, ActionTuple, BehaviorSpec, DecisionSteps
from mlagents_envs.examples.catalog import make
from mlagents_envs.examples.example import vector_sensor
from mlagents_envs.examples.policy import Model, most_probable
from mlagents_envs.exception import UnityPolicyException

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

REFERENCE = Path(os.environ.get("MLAGENTS_REFERENCE", Path(__file__).parents[4] / "shared" / "reference"))
HYBRID = BehaviorSpec([vector_sensor(2, "sensor")], ActionSpec.create_hybrid(1, (3,)))
SEEING_TWO = BehaviorSpec([vector_sensor(2, "sensor")], ActionSpec.create_continuous(2))


def asked(n=4, first=0, obs=None):
    nothing = np.zeros(n, np.float32)
    return DecisionSteps(
        [np.zeros((n, 2), np.float32)] if obs is None else [np.array(column, np.float32) for column in obs],
        nothing, np.arange(first, first + n, dtype=np.int32), None, np.zeros(n, np.int32), nothing,
    )  # fmt: skip


def graph(inputs, outputs, nodes, constants=None, kind=None):
    value, f32 = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    made = onnx.helper.make_graph(
        [onnx.helper.make_node(kind, into, out, **how) for kind, into, out, how in nodes], "model",
        [value(name, f32, shape) for name, shape in inputs.items()],
        [value(name, kind or f32, shape) for name, shape in outputs.items()],
        [onnx.numpy_helper.from_array(np.asarray(array, np.float32), name) for name, array in (constants or {}).items()],
    )  # fmt: skip
    return onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)


@pytest.fixture
def counting(tmp_path):
    """A model of 3DBall's actions that says how often it was asked, by its memory, from 2 numbers."""
    model = graph(
        {"obs_0": ["batch", 2], "recurrent_in": ["batch", 1, 4]},
        {"continuous_action_output_shape": [1], "continuous_actions": ["batch", 2], "recurrent_out": ["batch", 1, 4]},
        [
            ("Add", ["recurrent_in", "tenth"], ["recurrent_out"], {}),
            ("Slice", ["recurrent_out", "zero", "two", "last"], ["part"], {}),
            ("Squeeze", ["part", "middle"], ["told"], {}),
            ("Mul", ["obs_0", "nothing"], ["silent"], {}),
            ("Add", ["told", "silent"], ["continuous_actions"], {}),
            ("Identity", ["size"], ["continuous_action_output_shape"], {}),
        ],
        {"tenth": [0.1], "nothing": [0.0], "size": [2]},
    )
    for name, number in (("zero", 0), ("two", 2), ("last", 2), ("middle", 1)):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([number], np.int64), name))
    onnx.save(model, tmp_path / "counting.onnx")
    return tmp_path / "counting.onnx"


def test_the_most_probable_is_taken_in_each_branch():
    log_probs = np.array([[-1.0, -0.5, -3.0, -0.1], [-0.1, -2.0, -1.0, -4.0]])
    assert most_probable(log_probs, [2, 2]).tolist() == [[1, 1], [0, 0]]


def test_deterministic_actions_are_taken_where_a_model_offers_them_and_samples_elsewhere(tmp_path):
    for offered, taken in ((("discrete_actions", "deterministic_discrete_actions"), 2), (("discrete_actions",), 1)):
        nodes = [("Cast", [f"obs_{i}"], [name], {"to": onnx.TensorProto.INT64}) for i, name in enumerate(offered)]
        inputs = {f"obs_{i}": ["batch", 1] for i in range(len(offered))}
        model = graph(inputs, dict.fromkeys(offered), nodes, kind=onnx.TensorProto.INT64)
        sizes = onnx.helper.make_tensor_value_info("discrete_action_output_shape", onnx.TensorProto.FLOAT, [1, 1])
        model.graph.output.append(sizes)
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([[3]], np.float32), "sizes"))
        model.graph.node.append(onnx.helper.make_node("Identity", ["sizes"], ["discrete_action_output_shape"]))
        onnx.save(model, tmp_path / "model.onnx")
        spec = BehaviorSpec([vector_sensor(1, name) for name in inputs], ActionSpec.create_discrete((3,)))
        said = Model(tmp_path / "model.onnx", spec, behavior="B")(asked(1, obs=[[[1]], [[2]]]))
        assert said.discrete.tolist() == [[taken]]


def test_an_early_model_takes_joined_observations_and_lacks_outputs_that_it_promises(tmp_path):
    model = graph(
        {"vector_observation": ["batch", 4], "action_masks": ["batch", 4]},
        dict.fromkeys(("discrete_actions", "discrete_action_output_shape", "is_continuous_control")),
        [
            ("Identity", ["vector_observation"], ["discrete_actions"], {}),
            ("Identity", ["sizes"], ["discrete_action_output_shape"], {}),
        ],
        {"sizes": [[2, 2]]},
    )
    onnx.save(model, tmp_path / "early.onnx")
    spec = BehaviorSpec([vector_sensor(3, "a"), vector_sensor(1, "b")], ActionSpec.create_discrete((2, 2)))
    said = Model(tmp_path / "early.onnx", spec, behavior="B")(asked(1, obs=[[[0, 1, 2]], [[1]]]))
    assert said.discrete.tolist() == [[1, 0]]


def test_each_agent_keeps_its_own_memory(counting):
    model = Model(counting, SEEING_TWO, behavior="builtin:Counting")
    assert model(asked(2)).continuous[:, 0] == pytest.approx([0.1, 0.1])
    assert model(asked(2, first=1)).continuous[:, 0] == pytest.approx([0.2, 0.1])  # agents 1, asked again, and 2
    assert model(asked(2)).continuous[:, 0] == pytest.approx([0.1, 0.3])  # 0 was away, and forgotten


def test_actions_stay_within_one_as_in_unity(counting):
    model = Model(counting, SEEING_TWO, behavior="builtin:Counting")
    for _ in range(12):
        action = model(asked(1))
    assert isinstance(action, ActionTuple) and action.continuous.max() == 1.0


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (
            BehaviorSpec([vector_sensor(3, "eyes")], ActionSpec.create_continuous(2)),
            r"its obs_0 has shape \(2,\), and 'eyes' has \(3,\)",
        ),
        (
            BehaviorSpec([vector_sensor(2, "a")] * 2, ActionSpec.create_continuous(2)),
            "it takes 1 observations, and there are 2",
        ),
        (
            BehaviorSpec([vector_sensor(2, "a")], ActionSpec.create_continuous(3)),
            r"its continuous actions are \(2,\), and the scene's \(3,\)",
        ),
        (
            BehaviorSpec([vector_sensor(2, "a")], ActionSpec.create_hybrid(2, (3,))),
            r"its discrete actions are none, and the scene's \(3,\)",
        ),
    ],
)
def test_a_model_that_does_not_fit_says_where(counting, spec, why):
    with pytest.raises(
        UnityPolicyException, match=f"counting.onnx does not fit builtin:Some: {why}; it was trained for another one$"
    ):
        Model(counting, spec, behavior="builtin:Some")


def test_a_model_that_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(
        UnityPolicyException, match=r"no\.onnx: there is no such model; give an \.onnx file that a run has written$"
    ):
        Model(tmp_path / "no.onnx", HYBRID, behavior="builtin:Some")


def test_a_file_that_is_no_model_is_a_sentence(tmp_path):
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(UnityPolicyException, match=r"text\.onnx: it is no model that onnxruntime can read \(.+\)$"):
        Model(tmp_path / "text.onnx", HYBRID, behavior="builtin:Some")


@pytest.mark.parametrize("name", ["3DBall", "Basic", "PushBlock", "SoccerTwos"])
def test_unitys_models_play(name):
    file = REFERENCE / "onnx" / f"{name}.onnx"
    if not file.exists():
        pytest.skip("Unity's models are not here")
    env = make(name, areas=2)
    env.reset()
    model = Model(file, env.SPEC, behavior=name)
    decision, _ = env.get_steps(env.behavior)
    env.set_actions(env.behavior, model(decision))
