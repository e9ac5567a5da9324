"""A player in the place of Unity: serves any environment to a trainer with the protocol of a Unity build.

The trainer listens and the player calls: a call carries observations, and its reply the actions. The first call is the
handshake, the second is empty and fetches the first command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from typing import Any, Protocol, runtime_checkable

from google.protobuf.message import DecodeError

from mlagents_envs.base_env import BaseEnv, BehaviorSpec, DecisionSteps, TerminalSteps
from mlagents_envs.communicator_objects.capabilities_pb2 import UnityRLCapabilitiesProto
from mlagents_envs.communicator_objects.command_pb2 import QUIT, RESET
from mlagents_envs.communicator_objects.header_pb2 import HeaderProto
from mlagents_envs.communicator_objects.unity_input_pb2 import UnityInputProto
from mlagents_envs.communicator_objects.unity_message_pb2 import UnityMessageProto
from mlagents_envs.communicator_objects.unity_rl_initialization_input_pb2 import UnityRLInitializationInputProto
from mlagents_envs.communicator_objects.unity_rl_initialization_output_pb2 import UnityRLInitializationOutputProto
from mlagents_envs.communicator_objects.unity_rl_input_pb2 import UnityRLInputProto
from mlagents_envs.exception import (
    UnityCommunicationException,
    UnityCommunicatorStoppedException,
    UnityException,
    UnityTimeOutException,
)
from mlagents_envs.player.answers import ActionReader
from mlagents_envs.player.trainer_connection import Exchange
from mlagents_envs.side_channel import player_side
from mlagents_envs.wire.diagnosis import versions_differ
from mlagents_envs.wire.encode import AgentWriter
from mlagents_envs.wire.fields import block
from mlagents_envs.wire.packages import CURRENT, Package
from mlagents_envs.wire.replies import CLOSING, WELL
from mlagents_envs.wire.specs import brain_parameters

VERSION = "1.5.0"  # of the protocol
NAME = "AcademySingleton"  # as Unity calls itself
CLOSING_TIME = 1.0  # seconds for the trainer to answer the closing message
_WELL = block(1, HeaderProto(status=WELL).SerializeToString())

Make = Callable[[int, int | None], BaseEnv]  # seed, areas: None = as many as in Unity's own scene


@runtime_checkable
class Adjustable(Protocol):
    """An environment with parameters."""

    def set_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Set numbers and samplers by name."""


@runtime_checkable
class Measured(Protocol):
    """An environment that reports statistics."""

    def stats(self) -> Sequence[tuple[str, float, int]]:
        """Return (name, value, aggregation) of what was measured since the last call."""


@runtime_checkable
class Stacking(Protocol):
    """An environment some of whose images are stacks of frames."""

    @property
    def image_stacks(self) -> Mapping[str, int]:
        """The frames of each such sensor, by its name."""


class Scene:
    """An environment behind the protocol: applies the trainer's messages and reports its agents."""

    def __init__(
        self, env: BaseEnv, *, png: bool = False, package: Package = CURRENT, stacks: Mapping[str, int] | None = None
    ) -> None:  # fmt: skip
        """png: observations of (channels, height, width) are sent as PNG. package: the release that is imitated.

        stacks: name of a sensor -> frames, for images that are stacks of them; that shows in PNGs only. If None, the
        environment's own.
        """
        self._env = env
        self._png = png
        self._package = package
        its_own = env.image_stacks if isinstance(env, Stacking) else {}
        self._stacks = its_own if stacks is None else stacks
        self._writers: dict[str, AgentWriter] = {}  # of behaviors that the trainer knows
        self._readers: dict[str, ActionReader] = {}
        self._asking: dict[str, int] = {}  # how many agents of each behavior wait for an action

    def apply(self, message: UnityRLInputProto) -> None:
        """Set parameters, then reset or step; agents without an action get zeros.

        Raises UnityActionException if actions do not fit the agents that requested them, UnityEnvironmentException or
        UnitySideChannelException if a parameter cannot be read, and what the environment raises.
        """
        self._set_parameters(message.side_channel)
        if message.command == RESET:
            self._env.reset()
            return
        for name, n in self._asking.items():
            self._env.set_actions(name, self._readers[name].read(message.agent_actions[name], n))
        self._env.step()

    def report(self) -> bytes:
        """Return the message with the agents' steps, after simulating until at least one agent has some, as Unity does.

        It lists every behavior, also those without steps.
        """
        while not any(decision or terminal for _, _, decision, terminal in self._steps()):
            self._env.step()
        output, new = [], UnityRLInitializationOutputProto()
        self._asking.clear()
        for name, spec, decision, terminal in self._steps():
            agents = b""
            if decision or terminal:
                if name not in self._writers:
                    self._add_behavior(name, spec)
                    new.brain_parameters.append(brain_parameters(name, spec.action_spec))
                agents = self._writers[name].write(decision, terminal)
            if decision:
                self._asking[name] = len(decision)
            output.append(block(2, block(1, name.encode()) + block(2, agents)))
        if measured := self._measurements():
            output.append(block(3, measured))
        introduction = block(2, new.SerializeToString()) if new.brain_parameters else b""
        return _WELL + block(2, block(1, b"".join(output)) + introduction)

    def _steps(self) -> list[tuple[str, BehaviorSpec, DecisionSteps, TerminalSteps]]:
        return [(name, spec, *self._env.get_steps(name)) for name, spec in self._env.behavior_specs.items()]

    def _add_behavior(self, name: str, spec: BehaviorSpec) -> None:
        images = [index for index, sensor in enumerate(spec.observation_specs) if len(sensor.shape) == 3 and self._png]
        stacks = {index: self._stacks.get(spec.observation_specs[index].name, 1) for index in images}
        stacks = {index: frames for index, frames in stacks.items() if frames > 1}
        self._writers[name] = AgentWriter(spec, images, package=self._package, stacks=stacks)
        self._readers[name] = ActionReader(name, spec.action_spec)

    def _set_parameters(self, side_channel: bytes) -> None:
        """Set environment parameters; engine settings have no effect here, unknown channels are ignored as in Unity."""
        if side_channel and isinstance(self._env, Adjustable):
            self._env.set_parameters(
                dict(
                    player_side.read_parameter(payload)
                    for channel, payload in player_side.records(side_channel)
                    if channel == player_side.ENVIRONMENT_PARAMETERS
                )
            )

    def _measurements(self) -> bytes:
        if not isinstance(self._env, Measured):
            return b""
        return b"".join(
            player_side.frame(
                player_side.STATISTICS,
                player_side.stat(name, value, player_side.StatsAggregationMethod(aggregation)),
            )
            for name, value, aggregation in self._env.stats()
        )


class ServedPlayer:
    """Serves an environment that is made once the trainer has sent its seed."""

    def __init__(
        self, exchange: Exchange, make: Make, *, png: bool = False, version: str = VERSION, patience: float = 30.0,
        package: Package = CURRENT, stacks: Mapping[str, int] | None = None,
    ) -> None:  # fmt: skip
        """exchange: sends a message to the trainer and returns its reply. patience: seconds for the first reply.

        png: images are compressed if the trainer can read that. version: of the protocol to report.
        package, stacks: as in `Scene`.
        """
        self._exchange = exchange
        self._make = make
        self._png = png
        self._version = version
        self._patience = patience
        self._package = package
        self._stacks = stacks

    def play(self) -> str:
        """Serve until the trainer closes, and return how it ended.

        Raises UnityTimeOutException if no trainer answers the handshake, and any UnityException of this side, after
        sending its text to the trainer.
        """
        try:
            self._serve()
        except UnityCommunicatorStoppedException as end:
            return str(end)
        except UnityTimeOutException:
            raise
        except (UnityException, KeyboardInterrupt) as error:
            self._send_closing(str(error))
            raise
        self._send_closing("")
        return "the trainer asked to quit"

    def _serve(self) -> None:
        initialization = self._handshake()
        areas = initialization.num_areas if initialization.num_areas > 1 else None  # 1 is the trainers' default
        capabilities = initialization.capabilities
        png = self._png and capabilities.concatenatedPngObservations and capabilities.compressedChannelMapping
        with closing(self._make(initialization.seed, areas)) as env:
            scene = Scene(env, png=png, package=self._package, stacks=self._stacks)
            message = self._send(_WELL).rl_input
            while message.command != QUIT:
                scene.apply(message)
                message = self._send(scene.report()).rl_input

    def _handshake(self) -> UnityRLInitializationInputProto:
        greeting = UnityRLInitializationOutputProto(
            name=NAME, package_version=self._package.version, communication_version=self._version
        )
        for capability in UnityRLCapabilitiesProto.DESCRIPTOR.fields_by_name:
            setattr(greeting.capabilities, capability, True)
        message = _WELL + block(2, block(2, greeting.SerializeToString()))
        initialization = self._send(message, patience=self._patience).rl_initialization_input
        theirs = initialization.communication_version
        if versions_differ(theirs, VERSION, self._package.version):
            raise UnityCommunicationException(
                f"the trainer has communication version {theirs!r} and this player {VERSION}; "
                "use packages that belong together"
            )
        return initialization

    def _send(self, message: bytes, *, patience: float | None = None) -> UnityInputProto:
        answer = self._exchange(message, patience=patience)
        try:
            read = UnityMessageProto.FromString(answer)
        except DecodeError as error:
            raise UnityCommunicationException(
                f"the reply is no message of the protocol ({error}): does a trainer listen on that port?"
            ) from error
        if read.header.status != WELL:
            raise UnityCommunicatorStoppedException(f"the trainer closed, with status {read.header.status}")
        return read.unity_input

    def _send_closing(self, reason: str) -> None:
        with suppress(UnityException):  # the trainer may be gone already
            message = UnityMessageProto(header=HeaderProto(status=CLOSING, message=reason))
            self._exchange(message.SerializeToString(), patience=CLOSING_TIME)
