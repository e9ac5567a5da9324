import numpy as np
import pytest

from mlagents_envs.base_env import DecisionSteps
from mlagents_envs.examples.policy import most_probable, unity_policy

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper


def asked(*obs):
    n = len(obs[0])
    return DecisionSteps(
        [np.array(column, np.float32) for column in obs], np.zeros(n, np.float32), np.arange(n, dtype=np.int32), None,
        np.zeros(n, np.int32), np.zeros(n, np.float32),
    )  # fmt: skip


def write(path, *, inputs, nodes, outputs, constants=()):
    """Write a model; inputs: name -> width, outputs: name -> type."""
    graph = helper.make_graph(
        nodes,
        "policy",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width]) for name, width in inputs.items()],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs.items()],
        list(constants),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def test_the_most_probable_is_taken_in_each_branch():
    log_probs = np.array([[-1.0, -0.5, -3.0, -0.1], [-0.1, -2.0, -1.0, -4.0]])
    assert most_probable(log_probs, [2, 2]).tolist() == [[1, 1], [0, 0]]


def test_deterministic_actions_are_taken_where_a_model_offers_them_and_samples_elsewhere(tmp_path):
    kinds = {"discrete_actions": TensorProto.INT64, "deterministic_discrete_actions": TensorProto.INT64}
    cast = [
        helper.make_node("Cast", ["obs_0"], ["discrete_actions"], to=TensorProto.INT64),
        helper.make_node("Cast", ["obs_1"], ["deterministic_discrete_actions"], to=TensorProto.INT64),
    ]
    both = write(tmp_path / "both.onnx", inputs={"obs_0": 1, "obs_1": 1}, nodes=cast, outputs=kinds)
    sample = write(
        tmp_path / "sample.onnx", inputs={"obs_0": 1}, nodes=cast[:1], outputs={"discrete_actions": TensorProto.INT64}
    )
    assert unity_policy(both)(asked([[1], [2]], [[3], [4]])).discrete.tolist() == [[3], [4]]
    assert unity_policy(sample)(asked([[1], [2]])).discrete.tolist() == [[1], [2]]


def test_an_early_model_takes_joined_observations_and_lacks_outputs_that_it_promises(tmp_path):
    sizes = numpy_helper.from_array(np.array([[2.0, 2.0]], np.float32), "sizes")
    nodes = [
        helper.make_node("Identity", ["vector_observation"], ["discrete_actions"]),
        helper.make_node("Identity", ["sizes"], ["discrete_action_output_shape"]),
    ]
    names = ("discrete_actions", "discrete_action_output_shape", "is_continuous_control")
    early = write(
        tmp_path / "early.onnx", inputs={"vector_observation": 4, "action_masks": 4}, nodes=nodes,
        outputs=dict.fromkeys(names, TensorProto.FLOAT), constants=[sizes],
    )  # fmt: skip
    assert unity_policy(early)(asked([[0, 1, 2]], [[1]])).discrete.tolist() == [[1, 0]]
