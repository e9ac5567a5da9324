"""Reads a demonstration file (`.demo`) while a recorder writes it."""

from __future__ import annotations

from pathlib import Path

from google.protobuf.message import DecodeError

from mlagents_envs.base_env import ActionSpec
from mlagents_envs.communicator_objects.agent_info_action_pair_pb2 import AgentInfoActionPairProto
from mlagents_envs.communicator_objects.brain_parameters_pb2 import BrainParametersProto
from mlagents_envs.communicator_objects.demonstration_meta_pb2 import DemonstrationMetaProto
from mlagents_envs.demonstrations.channels import Images
from mlagents_envs.demonstrations.layout import HEADER, CutShort, metadata, parse
from mlagents_envs.demonstrations.pairing import Align
from mlagents_envs.demonstrations.records import RecordReader
from mlagents_envs.demonstrations.table import Demonstration
from mlagents_envs.exception import DemonstrationException

METADATA = 64  # bytes that the copy of the metadata at the end of a file never reaches


class GrowingDemonstration:
    """A file that may be incomplete: each record is returned once, as soon as it is complete."""

    def __init__(
        self, path: str | Path, *, align: Align = "auto", images: Images = "auto", actions: ActionSpec | None = None
    ) -> None:
        """align, images, actions: as in `file.read`; the first record decides for the whole file."""
        self.path = Path(path)
        self._align: Align = align
        self._images: Images = images
        self._actions = actions
        self.takes = 0  # recordings seen at this path
        self._begin()

    def _begin(self) -> None:
        """Read another recording from its beginning."""
        self.takes += 1
        self.finished = False  # is its recording closed, and every record returned?
        self._parameters: BrainParametersProto | None = None
        self._reader: RecordReader | None = None  # known with the first record
        self._place = HEADER  # byte at which the next message begins
        self._taken = 0  # records

    def more(self) -> Demonstration | None:
        """Return the records written since the last call, None if there are none, or no file yet.

        A file that became shorter is another recording at the same path, and is read from its beginning.
        Raises DemonstrationException for a file that is damaged or no demonstration, see `file.read`.
        """
        size = self.path.stat().st_size if self.path.is_file() else 0
        if size < self._place and self._parameters is not None:
            self._begin()
        if size <= HEADER or self.finished:
            return None
        with self.path.open("rb") as file:
            meta = metadata(file.read(HEADER), self.path)
            file.seek(self._place)
            data = file.read()
        place = 0
        if self._parameters is None:
            parameters = BrainParametersProto()
            try:
                place = parse(parameters, data, place, self.path)
            except CutShort:
                return None
            self._parameters = parameters
        records, place = self._records(data, place, meta.number_steps)
        self._place += place
        self._taken += len(records)
        self.finished = self.finished or 0 < meta.number_steps <= self._taken
        if not records:
            return None
        if self._reader is None:
            self._reader = RecordReader(
                self.path, meta.demonstration_name, self._parameters, records[0],
                align=self._align, images=self._images, actions=self._actions,
            )  # fmt: skip
        return self._reader.table(records)

    def _records(self, data: bytes, place: int, number: int) -> tuple[list[AgentInfoActionPairProto], int]:
        """Return the complete records, and where the next one begins.

        number: of records in the file; 0 while it is written.
        """
        records: list[AgentInfoActionPairProto] = []
        while not number or self._taken + len(records) < number:
            record = AgentInfoActionPairProto()
            try:
                place = parse(record, data, place, self.path)
            except CutShort:
                if number:
                    raise
                break
            except DemonstrationException:
                if number or not self._ends(data[place:], self._taken + len(records)):
                    raise
                break
            records.append(record)
        return records, place

    def _ends(self, rest: bytes, taken: int) -> bool:
        """Return whether the rest is the copy of the metadata at the end of a file, or its beginning."""
        meta = DemonstrationMetaProto()
        try:
            meta.ParseFromString(rest)
        except DecodeError:
            return len(rest) < METADATA
        self.finished = meta.number_steps == taken
        return self.finished or len(rest) < METADATA
