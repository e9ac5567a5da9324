"""Reads demonstrations, an agent's observations, actions and rewards, from the files (`.demo`) of a recorder.

recording.py writes such files, growing.py reads them while they are written; table.py has the data classes.
"""

from __future__ import annotations

import glob
from pathlib import Path

from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.communicator_objects.agent_info_action_pair_pb2 import AgentInfoActionPairProto
from mlagents_envs.communicator_objects.brain_parameters_pb2 import BrainParametersProto
from mlagents_envs.communicator_objects.demonstration_meta_pb2 import DemonstrationMetaProto
from mlagents_envs.demonstrations.channels import Images
from mlagents_envs.demonstrations.layout import HEADER, SUFFIX, metadata, parse
from mlagents_envs.demonstrations.pairing import Align
from mlagents_envs.demonstrations.records import RecordReader, spec_of
from mlagents_envs.demonstrations.table import Array, Demonstration, Transitions, joined
from mlagents_envs.exception import DemonstrationException

__all__ = [
    "SUFFIX", "Align", "Array", "Demonstration", "Images", "Transitions", "demonstration_files", "joined", "read",
    "read_spec",
]  # fmt: skip


def read(
    path: str | Path, *, align: Align = "auto", images: Images = "auto", actions: ActionSpec | None = None
) -> Demonstration:
    """Return a demonstration.

    align: `unity` where a record's action led to the record, `old` where it was taken from there; `auto` looks for
    the signs of very old files. images: `channels_first` or `channels_last` is how the numbers of an image that is no
    PNG lie below a shape of (channels, height, width); `auto` takes the layout of the shape, with a warning. actions:
    those of the behavior, where the file's header may leave some out.
    Raises FileNotFoundError, ValueError for a file of another kind, DemonstrationException for one that is damaged or
    has observations, actions or rewards that are impossible.
    """
    path, data, meta = _opened(path)
    parameters = BrainParametersProto()
    place = parse(parameters, data, HEADER, path)
    records = []
    for _ in range(meta.number_steps):
        record = AgentInfoActionPairProto()
        place = parse(record, data, place, path)
        records.append(record)
    if not records:
        raise DemonstrationException(f"{path} holds no record")
    reader = RecordReader(
        path, meta.demonstration_name, parameters, records[0], align=align, images=images, actions=actions
    )
    return reader.table(records)


def read_spec(path: str | Path, *, images: Images = "auto") -> BehaviorSpec:
    """Return what the agent of a demonstration sees and does; no record but the first is looked at.

    Arguments and errors as of `read`.
    """
    path, data, meta = _opened(path)
    parameters, first = BrainParametersProto(), AgentInfoActionPairProto()
    place = parse(parameters, data, HEADER, path)
    if not meta.number_steps:
        raise DemonstrationException(f"{path} holds no record")
    parse(first, data, place, path)
    return spec_of(path, parameters, first, images=images)


def _opened(path: str | Path) -> tuple[Path, bytes, DemonstrationMetaProto]:
    """Return a file, its bytes, and the metadata that they begin with; raises as `read` does."""
    path = Path(path)
    if path.suffix != SUFFIX:
        raise ValueError(f"{path} is no demonstration: its name does not end in {SUFFIX}")
    data = path.read_bytes()
    return path, data, metadata(data, path)


def demonstration_files(path: str | Path) -> list[Path]:
    """Return the files of a demonstration, a folder of them, or a pattern, sorted by name.

    Raises FileNotFoundError if nothing is there, ValueError if it holds no demonstration.
    """
    place = Path(path)
    if place.is_dir():
        found = sorted(file for file in place.iterdir() if file.suffix == SUFFIX)
        if not found:
            raise ValueError(f"the folder {place} holds no {SUFFIX} file")
        return found
    found = [place] if place.is_file() else sorted(Path(name) for name in glob.glob(str(path)))
    if not found:
        raise FileNotFoundError(f"there is no demonstration {path}")
    for file in found:
        if file.suffix != SUFFIX:
            raise ValueError(f"{file} is no demonstration: its name does not end in {SUFFIX}")
    return found
