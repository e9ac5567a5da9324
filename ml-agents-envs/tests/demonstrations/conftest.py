"""Files as other recorders write them: made by hand, message by message."""

import os
from pathlib import Path

import numpy as np
import pytest

from mlagents_envs.communicator_objects.agent_info_action_pair_pb2 import AgentInfoActionPairProto
from mlagents_envs.communicator_objects.brain_parameters_pb2 import BrainParametersProto
from mlagents_envs.communicator_objects.demonstration_meta_pb2 import DemonstrationMetaProto
from mlagents_envs.communicator_objects.space_type_pb2 import continuous as CONTINUOUS
from mlagents_envs.demonstrations.growing import GrowingDemonstration
from mlagents_envs.demonstrations.layout import HEADER
from mlagents_envs.wire.fields import varint

OLD_SIZES = bytes([0x08, 5, 0x10, 1])  # fields 1 and 2 of the header, as very old recorders wrote them


def delimited(body):
    return varint(len(body)) + body


def header(behavior="B", *, continuous=0, branches=(), typed=True, sizes=False):
    """Return the behavior's parameters: typed as since package 1.4, or in the deprecated fields; sizes: the very old ones."""
    parameters = BrainParametersProto(brain_name=behavior)
    if typed:
        parameters.action_spec.num_continuous_actions = continuous
        parameters.action_spec.num_discrete_actions = len(branches)
        parameters.action_spec.discrete_branch_sizes.extend(branches)
    else:
        parameters.vector_action_size_deprecated.extend([continuous] if continuous else branches)
        if continuous:
            parameters.vector_action_space_type_deprecated = CONTINUOUS
    return (OLD_SIZES if sizes else b"") + parameters.SerializeToString()


def record(obs, *, reward=0.0, done=False, interrupted=False, mask=(), continuous=(), discrete=(), deprecated=()):
    """Return a record. obs: a list of numbers per sensor, or (shape, properties, numbers or PNG, name, mapping) of it."""
    pair = AgentInfoActionPairProto()
    info = pair.agent_info
    info.reward, info.done, info.max_step_reached = reward, done, interrupted
    info.action_mask.extend(mask)
    for seen in obs:
        shape, properties, numbers, name, *mapping = seen if isinstance(seen, tuple) else ((len(seen),), (), seen, "")
        observation = info.observations.add(shape=shape, dimension_properties=properties, name=name)
        observation.compressed_channel_mapping.extend(mapping[0] if mapping else ())
        if isinstance(numbers, bytes):
            observation.compressed_data = numbers
            observation.compression_type = 1
        else:
            observation.float_data.data.extend(np.ravel(numbers))
    pair.action_info.continuous_actions.extend(continuous)
    pair.action_info.discrete_actions.extend(discrete)
    pair.action_info.vector_actions_deprecated.extend(deprecated)
    return pair


def write_file(path, parameters, records, *, closed=True):
    """Write a whole file; if not closed, as it lies there while its recording goes on."""
    meta = DemonstrationMetaProto(api_version=1, demonstration_name="made", number_steps=len(records) if closed else 0)
    body = b"".join(delimited(record.SerializeToString()) for record in records)
    path.write_bytes(delimited(meta.SerializeToString()).ljust(HEADER, b"\0") + delimited(parameters) + body)
    return path


def pieces(path, cuts, **options):
    """Yield what is new in a file that grows up to each cut (a share of its bytes behind the metadata), and is closed."""
    whole, growing_path = path.read_bytes(), path.with_name("growing.demo")
    open_meta = delimited(DemonstrationMetaProto(api_version=1).SerializeToString()).ljust(HEADER, b"\0")
    growing = GrowingDemonstration(growing_path, **options)
    for cut in sorted(cuts):
        growing_path.write_bytes(open_meta + whole[HEADER : HEADER + int(cut * (len(whole) - HEADER))])
        if (part := growing.more()) is not None:
            yield part
    growing_path.write_bytes(whole)
    if (part := growing.more()) is not None:
        yield part
    assert growing.finished


def reference(name):
    folder = Path(os.environ.get("MLAGENTS_REFERENCE", Path(__file__).parents[4] / "shared" / "reference"))
    file = folder / "demos" / f"{name}.demo"
    if not file.is_file():
        pytest.skip("no demonstration made in Unity here")
    return file
