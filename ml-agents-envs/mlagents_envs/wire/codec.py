"""Decodes the messages of players: from bytes to columns."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from mlagents_envs.base_env import BehaviorSpec, DecisionSteps, TerminalSteps
from mlagents_envs.communicator_objects.agent_info_pb2 import AgentInfoProto
from mlagents_envs.communicator_objects.header_pb2 import HeaderProto
from mlagents_envs.communicator_objects.unity_rl_initialization_output_pb2 import UnityRLInitializationOutputProto
from mlagents_envs.exception import UnityCommunicationException, UnityObservationException
from mlagents_envs.wire import walk_proto
from mlagents_envs.wire.columns import Columns, empty_columns, observations, sensor_sizes
from mlagents_envs.wire.fields import Malformed, read_fields
from mlagents_envs.wire.packages import Package, plain_layout
from mlagents_envs.wire.replies import WELL

Array = NDArray[Any]
Agents = bytes | memoryview  # a list of agents, not decoded yet
MOST_BEHAVIORS = 1024  # of one player
MOST_SENSORS = 1024  # of one agent
LONGEST_NAME = 1024  # bytes
LONGEST_INITIALIZATION = 2**22  # bytes of versions and descriptions; decoded they take many times as many


class PlayerMessage(NamedTuple):
    """A player's message: decoded but for its agents, which are still bytes."""

    status: int  # 200 = OK; anything else: the player is stopping
    reason: str  # why it is stopping, may be empty
    agents: dict[str, Agents]  # by behavior
    side_channel: bytes
    initialization: UnityRLInitializationOutputProto  # versions in the first message, new behaviors in later ones


def read_message(raw: bytes) -> PlayerMessage:
    """Return a decoded message; raises UnityCommunicationException if these bytes are no message of the protocol."""
    status, reason, side_channel = 0, "", b""
    agents: dict[str, Agents] = {}
    initialization = UnityRLInitializationOutputProto()
    try:
        for field, _, part in read_fields(memoryview(raw)):
            if field == 1:
                header = HeaderProto.FromString(bytes(part))
                status, reason = header.status, header.message
            elif field == 2:
                for inside, _, output in read_fields(part):
                    if inside == 1:
                        agents, side_channel = _read_output(output)
                    elif inside == 2:
                        _check_initialization(output)
                        initialization.MergeFromString(bytes(output))
    except (Malformed, DecodeError, UnicodeDecodeError) as error:
        raise UnityCommunicationException(
            f"what arrived is no message of the protocol ({error}): is a program other than a Unity player connected?"
        ) from error
    return PlayerMessage(status, reason, agents, side_channel, initialization)


def _check_initialization(raw: memoryview) -> None:
    """Raise Malformed for descriptions of more behaviors, or longer ones, than any player has."""
    if len(raw) > LONGEST_INITIALIZATION:
        raise Malformed(f"its description has {len(raw)} bytes; {LONGEST_INITIALIZATION} are the most")
    described = sum(1 for field, _, _ in read_fields(raw) if field == 5)
    if described > MOST_BEHAVIORS:
        raise Malformed(f"it describes {described} behaviors; {MOST_BEHAVIORS} are the most")


def is_last(raw: bytes) -> bool:
    """Is this the last message of a player, which is about to quit? What cannot be read is not."""
    try:
        header = next((part for field, _, part in read_fields(memoryview(raw)) if field == 1), b"")
        return bool(HeaderProto.FromString(bytes(header)).status != WELL)
    except (Malformed, DecodeError, UnicodeDecodeError):
        return False


def why_no_handshake(raw: bytes) -> str | None:
    """Return why a first message opens no connection, None if it does."""
    try:
        message = read_message(raw)
    except UnityCommunicationException:
        return "what it sent is no message of the protocol"
    return None if message.status == WELL else "its first message closes the connection"


def why_not_player(raw: bytes) -> str | None:
    """Return why this first message is not a player's, None if it is: a player's has its versions."""
    if (why := why_no_handshake(raw)) is not None:
        return why
    return None if read_message(raw).initialization.ByteSize() else "its first message has no version"


def _read_output(raw: memoryview) -> tuple[dict[str, Agents], bytes]:
    """Return the bytes of each behavior's agents, and those of the side channels."""
    agents: dict[str, Agents] = {}
    side_channel = b""
    for field, _, part in read_fields(raw):
        if field == 2:
            name, listed = "", part[:0]
            for inside, _, value in read_fields(part):
                if inside == 1:
                    if len(value) > LONGEST_NAME:
                        raise Malformed(f"a behavior's name has {len(value)} bytes; {LONGEST_NAME} are the most")
                    name = bytes(value).decode()
                elif inside == 2:
                    listed = value
            agents[name] = listed
            if len(agents) > MOST_BEHAVIORS:
                raise Malformed(f"it has more than {MOST_BEHAVIORS} behaviors")
        elif field == 3:
            side_channel = bytes(part)
    return agents, side_channel


def first_agent(raw: Agents) -> AgentInfoProto:
    """Return the first of a list of agents, whose sensors are those of all.

    Raises UnityCommunicationException if the bytes are no such list, or it has more sensors than any agent;
    UnityObservationException for a sensor whose description is too long.
    """
    try:
        part = next((part for field, _, part in read_fields(memoryview(raw)) if field == 1), memoryview(b""))
        seen = 0
        for field, _, observation in read_fields(part):
            if field == 13:
                walk_proto.check_description(observation)
                seen += 1
        if seen > MOST_SENSORS:
            raise Malformed(f"its first agent has {seen} sensors; {MOST_SENSORS} are the most")
        return AgentInfoProto.FromString(bytes(part))
    except (Malformed, DecodeError) as error:
        raise UnityCommunicationException(f"a list of agents cannot be read: {error}") from error


class AgentReader:
    """Turns the agents of one behavior from bytes to steps."""

    def __init__(
        self, behavior: str, spec: BehaviorSpec, package: Package | None = None, *, refuses_nan: bool = True
    ) -> None:
        """spec: as the player sends it; `self.spec` is how it is read, with images of (channels, height, width).

        package: the release that sends it. Without one, observations are taken as the specification has them.
        """
        self.behavior = behavior
        self._refuses_nan = refuses_nan
        self._package = package
        sensors = spec.observation_specs
        self._layouts = [package.layout(sensor) if package else plain_layout(sensor) for sensor in sensors]
        if package is not None:
            spec = spec._replace(observation_specs=[package.specification(sensor) for sensor in sensors])
        self.spec = spec
        self._moves = any(layout.moves for layout in self._layouts)
        self._shapes = np.zeros((len(sensors), 5), np.int64)  # rank, dimensions
        for row, layout in zip(self._shapes, self._layouts, strict=True):
            row[0] = len(layout.shape)
            row[1 : 1 + len(layout.shape)] = layout.shape
        self._sizes = np.array(sensor_sizes(spec), np.int64)
        self._branches = np.cumsum(spec.action_spec.discrete_branches)[:-1]
        self._walk = _compiled()

    def read(self, raw: Agents) -> tuple[DecisionSteps, TerminalSteps]:
        """Return the steps of the agents in `raw`, in their order.

        Raises UnityCommunicationException if the bytes are no list of agents, UnityObservationException for an
        observation of another shape than the specification's, or, unless told otherwise, with numbers that are not
        finite.
        """
        try:
            columns = self._fast(raw) or walk_proto.read(memoryview(raw), self.spec, self._layouts)
            obs = observations(columns, self.spec)
            if self._refuses_nan:
                self._check_finite(columns, obs)
        except (UnityCommunicationException, UnityObservationException) as error:
            sender = f" ({self._package})" if self._package is not None else ""
            raise type(error)(f"{self.behavior}: {error}{sender}") from error
        return self._split(columns, obs)

    def _fast(self, raw: Agents) -> Columns | None:
        """Return the columns, or None if protobuf must read them."""
        if self._walk is None or not len(raw):
            return None
        view = np.frombuffer(raw, np.uint8)
        n = self._walk.count(view)
        if n < 0 or n * int(self._sizes.sum()) * 4 > len(raw):  # it is compressed, or too short
            return None
        columns = empty_columns(n, self.spec, len(raw))
        if not self._walk.read(view, self._shapes, self._sizes, *columns):
            return None
        if self._moves:
            self._arrange(columns.floats, n)
        return columns

    def _arrange(self, floats: Array, n: int) -> None:
        """Bring the numbers of n agents into the order of the specification."""
        begins = 0
        for layout, size in zip(self._layouts, self._sizes.tolist(), strict=True):
            part = floats[begins : begins + n * size]
            if layout.moves:
                part[:] = layout.arrange(part.reshape(n, *layout.stored)).ravel()
            begins += n * size

    def _check_finite(self, columns: Columns, obs: list[Array]) -> None:
        """Raise for a number that is not finite; images are not checked, as in Unity's trainers."""
        named = [("reward", columns.number[0]), ("group reward", columns.number[1])]
        named += [
            (f"observation '{sensor.name}'", column)
            for sensor, column in zip(self.spec.observation_specs, obs, strict=True)
            if len(sensor.shape) < 3
        ]
        for what, column in named:
            if not (finite := np.isfinite(column)).all():
                row = int(np.argwhere(~finite)[0][0])
                raise UnityObservationException(
                    f"agent {columns.agent[row]}: its {what} is not finite; look for a division by zero in the scene"
                )

    def _split(self, columns: Columns, obs: list[Array]) -> tuple[DecisionSteps, TerminalSteps]:
        done = columns.flag[0]
        if not done.any():
            return self._decisions(columns, obs), TerminalSteps.empty(self.spec)
        over, asking = np.flatnonzero(done), np.flatnonzero(~done)
        last, on = _rows(columns, over), _rows(columns, asking)
        terminal = TerminalSteps(
            [column[over] for column in obs], last.number[0], last.flag[1], last.agent, last.group, last.number[1]
        )
        ended = _ended_later(columns.agent, over, asking)
        return self._decisions(on, [column[asking] for column in obs], ended), terminal

    def _decisions(self, columns: Columns, obs: list[Array], ended: Array | None = None) -> DecisionSteps:
        masks = None
        if self.spec.action_spec.discrete_branches and len(columns.agent):
            masks = np.split(columns.mask, self._branches, axis=1)
        reward, group_reward = columns.number
        return DecisionSteps(obs, reward, columns.agent, masks, columns.group, group_reward, ended)


def _ended_later(agent: Array, over: Array, asking: Array) -> Array | None:
    """Return which of the agents that ask are done further on in the same message, None if there are none.

    agent: (n,) ids. over, asking: rows of those that are done and of those that ask, ascending.
    """
    if not len(asking) or over[-1] < asking[0]:  # as nearly always
        return None
    ids = agent[over]
    order = np.argsort(ids, kind="stable")
    place = np.searchsorted(ids[order], agent[asking], side="right") - 1  # of the last end of that id, or of another
    found = order[np.maximum(place, 0)]
    ended: Array = (ids[found] == agent[asking]) & (over[found] > asking)
    return ended if ended.any() else None


def _rows(columns: Columns, rows: Array) -> Columns:
    """Return some agents, without their observations."""
    return Columns(
        columns.agent[rows], columns.group[rows], columns.number[:, rows], columns.flag[:, rows], columns.mask[rows],
        columns.floats[:0],
    )  # fmt: skip


@cache
def _compiled() -> Any:
    """Return the compiled walk, None where numba is not installed."""
    return import_module("mlagents_envs.wire.walk_numba") if find_spec("numba") else None
