"""The messages of protocol 1.5.0: sources, generated code, and the specification say the same."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

import mlagents_envs.communicator_objects as package

SOURCES = Path(package.__file__).parent
FOLDER = "mlagents_envs/communicator_objects"
SPECIFICATION = Path(__file__).parents[3] / "shared" / "spec" / "proto"


def compiled(root, tmp_path):
    """Return {file name: descriptor} of all messages below `root`, as a fresh compiler reads them."""
    out = tmp_path / "descriptors"
    files = sorted(str(file.relative_to(root)) for file in (root / FOLDER).glob("*.proto"))
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", f"-I{root}", f"--descriptor_set_out={out}", *files], check=True
    )
    return {file.name: stripped(file) for file in FileDescriptorSet.FromString(out.read_bytes()).file}


def stripped(file):
    """Return a descriptor without what compilers add for JSON and editors."""
    plain = FileDescriptorProto()
    plain.CopyFrom(file)
    plain.ClearField("source_code_info")
    messages = list(plain.message_type)
    for message in messages:
        messages.extend(message.nested_type)
        for field in message.field:
            field.ClearField("json_name")
    return plain.SerializeToString(deterministic=True)


def test_generated_code_is_that_of_the_sources(tmp_path):
    expected = compiled(SOURCES.parents[1], tmp_path)
    assert len(expected) == 21
    for name, descriptor in expected.items():
        module = import_module(f"{package.__name__}.{Path(name).stem}_pb2")
        generated = FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(generated)
        assert stripped(generated) == descriptor, name


@pytest.mark.skipif(not SPECIFICATION.exists(), reason="the specification is not beside the project")
def test_the_messages_are_those_of_the_specification(tmp_path):
    assert compiled(SOURCES.parents[1], tmp_path) == compiled(SPECIFICATION, tmp_path)
