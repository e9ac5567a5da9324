"""Opens ONNX files with onnxruntime, which is loaded only then; what is wrong with a file is a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlagents_envs.exception import UnityPolicyException


def open_session(path: Path, *, seed: int) -> Any:
    """Return an onnxruntime session on one thread.

    seed: of the numbers that the model draws. Raises UnityPolicyException if there is no such file or no model in it.
    """
    if not path.is_file():
        raise UnityPolicyException(f"{path}: there is no such model; give an .onnx file that a run has written")
    try:
        import onnxruntime

        onnxruntime.set_seed(seed)
        try:
            return _session(path)
        except session_errors() as error:
            raise UnityPolicyException(f"{path}: it is no model that onnxruntime can read ({brief(error)})") from error
    except ImportError as error:
        raise UnityPolicyException(
            f"{path}: playing a model needs onnxruntime, and an early one onnx; pip install onnxruntime onnx"
        ) from error


def session_errors() -> tuple[type[Exception], ...]:
    """Return what onnxruntime raises for a model that it cannot read or compute; they have no common class."""
    import onnxruntime

    state = vars(onnxruntime.capi.onnxruntime_pybind11_state).values()
    own = [kind for kind in state if isinstance(kind, type) and issubclass(kind, Exception)]
    return (*own, UnicodeDecodeError)  # where what it would say quotes a damaged name


def brief(error: Exception) -> str:
    """Return the beginning of what an error says."""
    lines = str(error).splitlines()
    return lines[0][:160] if lines else type(error).__name__


def _session(model: Path) -> Any:
    """Return a session; a model that is refused for missing outputs is repaired first."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # what it would say, the exception says too
    how: dict[str, Any] = {"sess_options": options, "providers": ["CPUExecutionProvider"], "enable_fallback": 0}
    try:
        return onnxruntime.InferenceSession(str(model), **how)
    except onnxruntime.capi.onnxruntime_pybind11_state.Fail as error:
        repaired = _repaired(model)
        if repaired is None:
            raise error
        return onnxruntime.InferenceSession(repaired, **how)


def _repaired(model: Path) -> bytes | None:
    """Return a model without the outputs that no node of it makes, None where that is not what is wrong.

    SoccerTwos of Unity's release 21 promises `is_continuous_control` and `action_output_shape`, which an earlier format
    had, but lost the constants that they were when it was converted. No policy needs them.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        loaded = onnx.load(str(model))
    except (DecodeError, ValueError, OSError):
        return None
    made = {name for node in loaded.graph.node for name in node.output}
    broken = [output for output in loaded.graph.output if output.name not in made]
    for output in broken:
        loaded.graph.output.remove(output)
    repaired: bytes = loaded.SerializeToString()
    return repaired if broken else None
