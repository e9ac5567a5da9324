"""A Unity build, or the Editor, as an environment."""

from __future__ import annotations

import atexit
import logging
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from mlagents_envs.base_env import (
    ActionTuple,
    BaseEnv,
    BehaviorMapping,
    BehaviorSpec,
    DecisionSteps,
    TerminalSteps,
)
from mlagents_envs.communicator_objects.brain_parameters_pb2 import BrainParametersProto
from mlagents_envs.communicator_objects.capabilities_pb2 import UnityRLCapabilitiesProto
from mlagents_envs.communicator_objects.unity_rl_initialization_input_pb2 import UnityRLInitializationInputProto
from mlagents_envs.exception import (
    UnityActionException,
    UnityCommunicationException,
    UnityCommunicatorStoppedException,
    UnityEnvironmentException,
    UnityException,
    UnityObservationException,
)
from mlagents_envs.side_channel import DefaultTrainingAnalyticsSideChannel, SideChannel
from mlagents_envs.side_channel.side_channel_manager import SideChannelManager
from mlagents_envs.wire.codec import MOST_BEHAVIORS, AgentReader, Agents, PlayerMessage, first_agent
from mlagents_envs.wire.diagnosis import versions_differ
from mlagents_envs.wire.packages import Package, read_package
from mlagents_envs.wire.player_connection import Build, PlayerConnection
from mlagents_envs.wire.replies import ActionWriter, command, handshake_reply
from mlagents_envs.wire.server import LOOPBACK, MESSAGE_LIMIT
from mlagents_envs.wire.specs import behavior_spec

log = logging.getLogger(__name__)
FIRST_WITH_TYPED_ACTIONS = (1, 3)  # protocol; players before it read the deprecated field of an action
QUITS_IN = 10  # seconds for a player that is quitting by itself


class UnityEnvironment(BaseEnv):
    """Starts a build, or waits for the Editor, and exchanges messages with it.

    The constructor returns once the player is connected; its behaviors are known after the first `reset`.
    """

    API_VERSION = "1.5.0"
    DEFAULT_EDITOR_PORT = 5004
    BASE_ENVIRONMENT_PORT = 5005
    LISTEN_ADDRESS = LOOPBACK
    """The address to listen on: only this machine can connect, unless a subclass changes it."""
    MESSAGE_LIMIT = MESSAGE_LIMIT
    """Bytes of the longest message that is accepted."""
    REFUSES_NAN = True
    """Raise UnityObservationException for NaN and infinite numbers of agents. A subclass may look for them itself."""

    def __init__(
        self, file_name: str | None = None, worker_id: int = 0, base_port: int | None = None, seed: int = 0,
        no_graphics: bool = False, no_graphics_monitor: bool = False, timeout_wait: int = 60,
        additional_args: list[str] | None = None, side_channels: list[SideChannel] | None = None,
        log_folder: str | None = None, num_areas: int = 1,
    ) -> None:  # fmt: skip
        """Connect to the player.

        file_name: the build; None waits for the Editor. base_port: without one, a build gets the next free port from
        5005 + worker_id on, and the Editor is waited for on 5004. timeout_wait: seconds. log_folder: where the build
        writes `Player-<worker_id>.log`. Raises a UnityException with the cause and the remedy.
        """
        if file_name is None and worker_id:
            raise UnityEnvironmentException(f"worker_id is {worker_id}; without a file_name it must be 0: one Editor")
        if self.LISTEN_ADDRESS not in (LOOPBACK, "localhost"):
            log.warning(
                f"Listening on {self.LISTEN_ADDRESS}: any program that reaches this address can connect as the player; "
                "the protocol has no authentication."
            )
        channels = side_channels if side_channels is not None else []
        self._analytics = _add_analytics(channels)
        self._side_channel_manager = SideChannelManager(channels)
        self._timeout = timeout_wait
        self._pending: dict[str, BrainParametersProto] = {}  # behaviors without an agent so far
        self._specs: dict[str, BehaviorSpec] = {}
        self._readers: dict[str, AgentReader] = {}
        self._writers: dict[str, ActionWriter] = {}
        self._steps: dict[str, tuple[DecisionSteps, TerminalSteps]] = {}
        self._actions: dict[str, ActionTuple] = {}
        self._was_reset = False
        build = None
        if file_name is not None:
            log_file = Path(log_folder) / f"Player-{worker_id}.log" if log_folder else None
            hidden = no_graphics or (no_graphics_monitor and worker_id != 0)
            build = Build(file_name, hidden, additional_args or (), log_file)
        default = self.DEFAULT_EDITOR_PORT if build is None else self.BASE_ENVIRONMENT_PORT
        port = base_port if base_port is not None else default
        if build is None:
            log.info(f"Listening on port {port}. Start training by pressing the Play button in the Unity Editor.")
        self._connection: PlayerConnection | None = PlayerConnection(
            port + worker_id, build, worker=worker_id, patience=timeout_wait,
            search=base_port is None and build is not None, address=self.LISTEN_ADDRESS, limit=self.MESSAGE_LIMIT,
        )  # fmt: skip
        atexit.register(self._close)
        try:
            self._handshake(seed, num_areas)
        except BaseException:  # any: the caller has no object to close
            self._close(0)
            raise

    @property
    def academy_capabilities(self) -> UnityRLCapabilitiesProto:
        """The capabilities that the player reports."""
        return self._capabilities

    @property
    def side_channels(self) -> tuple[SideChannel, ...]:
        """The side channels of this environment, with the default analytics channel."""
        return self._side_channel_manager.channels

    @property
    def package(self) -> Package:
        """The release of com.unity.ml-agents that the player reports."""
        return self._package

    @property
    def behavior_specs(self) -> Mapping[str, BehaviorSpec]:
        """The behaviors seen so far. Images are (channels, height, width), whatever the player's package sends."""
        return BehaviorMapping(self._specs)

    def reset(self) -> None:
        """Begin new episodes for all agents."""
        self._actions.clear()
        self._steps.clear()
        self._exchange(b"", reset=True)
        self._was_reset = True

    def step(self) -> None:
        """Apply the actions, zeros where none were set; the first step is a reset."""
        if not self._was_reset:
            self.reset()
            return
        actions = []
        for name, (decision, _) in self._steps.items():
            if len(decision):
                action = self._actions.get(name) or self._specs[name].action_spec.empty_action(len(decision))
                actions.append(self._writers[name].write(action))
        self._actions.clear()
        self._exchange(b"".join(actions), reset=False)

    def get_steps(self, behavior_name: str) -> tuple[DecisionSteps, TerminalSteps]:
        """Return the steps of a behavior's agents since the last step or reset."""
        spec = self._spec(behavior_name)
        if behavior_name not in self._steps:
            return DecisionSteps.empty(spec), TerminalSteps.empty(spec)
        return self._steps[behavior_name]

    def set_actions(self, behavior_name: str, action: ActionTuple) -> None:
        """Set the actions of all agents of the last decision steps, in their order."""
        spec = self._spec(behavior_name)
        if behavior_name in self._steps:
            asking = len(self._steps[behavior_name][0])
            self._actions[behavior_name] = spec.action_spec.validate_action(action, asking, behavior_name)

    def set_action_for_agent(self, behavior_name: str, agent_id: int, action: ActionTuple) -> None:
        """Set the action of one agent; others of its behavior get zeros unless they are set too."""
        spec = self._spec(behavior_name).action_spec
        if behavior_name not in self._steps:
            return
        decision = self._steps[behavior_name][0]
        action = spec.validate_action(action, 1, behavior_name)
        row = decision.agent_id_to_index.get(agent_id)
        if row is None:
            raise IndexError(f"{behavior_name}: agent {agent_id} did not request an action")
        everyone = self._actions.setdefault(behavior_name, spec.empty_action(len(decision)))
        everyone.continuous[row] = action.continuous[0]
        everyone.discrete[row] = action.discrete[0]

    def close(self) -> None:
        """Let the player quit; one that does not quit within `timeout_wait` seconds is ended.

        Before the first reset it would go on without a trainer: it is ended at once.
        """
        if self._connection is None:
            raise UnityEnvironmentException("No Unity environment is loaded.")
        self._close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:  # fmt: skip
        self._close()  # after a failure the player is closed already

    def _close(self, patience: float | None = None) -> None:
        atexit.unregister(self._close)
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close(self._timeout if patience is None else patience)

    def _handshake(self, seed: int, num_areas: int) -> None:
        """Exchange versions and capabilities with the player."""
        ours = UnityRLInitializationInputProto(
            seed=seed, communication_version=self.API_VERSION, package_version=_version(), num_areas=num_areas
        )
        for capability in UnityRLCapabilitiesProto.DESCRIPTOR.fields_by_name:
            setattr(ours.capabilities, capability, True)
        first = self._connected().handshake(handshake_reply(ours))
        theirs = first.initialization
        wrong = versions_differ(self.API_VERSION, theirs.communication_version, theirs.package_version)
        if wrong is not None:
            raise UnityEnvironmentException(wrong)
        log.info(
            f"Connected to Unity environment with package version {theirs.package_version} "
            f"and communication version {theirs.communication_version}"
        )
        self._package = read_package(theirs.package_version)
        self._capabilities = theirs.capabilities
        if not theirs.capabilities.baseRLCapabilities:
            log.warning("The player does not report that it can be trained: its package is very old. Update it.")
        version = tuple(int(part) for part in theirs.communication_version.split(".")[:2])
        self._deprecated = version < FIRST_WITH_TYPED_ACTIONS
        if self._analytics is not None and theirs.capabilities.trainingAnalytics:
            self._analytics.environment_initialized()
        self._read_steps(first)

    def _exchange(self, actions: bytes, *, reset: bool) -> None:
        """Send a command and read the reply; a player whose reply cannot be decoded is ended."""
        connection = self._connected()
        side_channel = self._side_channel_manager.generate_side_channel_messages()
        try:
            self._read_steps(connection.command(command([actions], bytes(side_channel), reset=reset)))
        except UnityCommunicatorStoppedException:
            self._close(min(QUITS_IN, self._timeout))
            raise
        except (UnityException, KeyboardInterrupt):
            self._close(0)
            raise

    def _read_steps(self, message: PlayerMessage) -> None:
        """Read new behaviors, steps and side channels from a message."""
        for parameters in message.initialization.brain_parameters:
            self._pending.setdefault(parameters.brain_name, parameters)
        if len(self._pending) + len(self._specs) > MOST_BEHAVIORS:
            raise UnityCommunicationException(
                f"the player has described {len(self._pending) + len(self._specs)} behaviors by now; {MOST_BEHAVIORS} "
                "are the most. Check that the scene does not create a behavior name for every agent."
            )
        for name, raw in message.agents.items():
            if name not in self._specs and len(raw):
                self._add_behavior(name, raw)
        for name, reader in self._readers.items():
            self._steps[name] = reader.read(message.agents.get(name, b""))
        self._side_channel_manager.process_side_channel_message(message.side_channel)

    def _add_behavior(self, name: str, raw: Agents) -> None:
        """Add a behavior from its parameters and its first agent's observations."""
        if name not in self._pending:
            raise UnityCommunicationException(f"{name}: the player never described this behavior")
        try:
            described = behavior_spec(self._pending.pop(name), first_agent(raw))
        except UnityObservationException as error:
            raise UnityObservationException(f"{name}: {error} ({self._package})") from error
        self._log_images(name, described)
        reader = AgentReader(name, described, self._package, refuses_nan=self.REFUSES_NAN)
        self._readers[name] = reader
        self._specs[name] = reader.spec
        self._writers[name] = ActionWriter(name, reader.spec.action_spec, deprecated=self._deprecated)

    def _log_images(self, name: str, described: BehaviorSpec) -> None:
        """Log how the images of a behavior are read, where that is not certain."""
        for sensor in described.observation_specs:
            if (warning := self._package.warning(sensor)) is not None:
                log.warning(f"{name}: {warning}.")
            elif self._package.has_channels_last(sensor):
                shape = self._package.specification(sensor).shape
                log.info(
                    f"{name}: {self._package} sends sensor '{sensor.name}' as {sensor.shape}; it is read as {shape}, "
                    "channels first."
                )

    def _spec(self, name: str) -> BehaviorSpec:
        if name not in self._specs:
            known = ", ".join(f"'{known}'" for known in self._specs) or "none before the first reset"
            raise UnityActionException(f"there is no behavior '{name}'; there is {known}")
        return self._specs[name]

    def _connected(self) -> PlayerConnection:
        if self._connection is None:
            raise UnityEnvironmentException("No Unity environment is loaded.")
        self._connection.check_process()
        return self._connection


def _add_analytics(channels: list[Any]) -> DefaultTrainingAnalyticsSideChannel | None:
    """Append the default analytics channel to the caller's list, unless one of that identity is there."""
    if any(channel.channel_id == DefaultTrainingAnalyticsSideChannel.CHANNEL_ID for channel in channels):
        return None
    analytics = DefaultTrainingAnalyticsSideChannel()
    channels.append(analytics)
    return analytics


def _version() -> str:
    from mlagents_envs import __version__

    return __version__
