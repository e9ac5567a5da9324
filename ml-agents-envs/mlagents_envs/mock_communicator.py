"""A communicator without a player, for tests of programs that use one."""

from __future__ import annotations

import numpy as np

from mlagents_envs.base_env import (
    ActionSpec,
    BehaviorSpec,
    DecisionSteps,
    DimensionProperty,
    ObservationSpec,
    ObservationType,
    TerminalSteps,
)
from mlagents_envs.communicator import Communicator, PollCallback
from mlagents_envs.communicator_objects.unity_input_pb2 import UnityInputProto
from mlagents_envs.communicator_objects.unity_output_pb2 import UnityOutputProto
from mlagents_envs.communicator_objects.unity_rl_output_pb2 import UnityRLOutputProto
from mlagents_envs.wire.encode import AgentWriter
from mlagents_envs.wire.specs import brain_parameters

IMAGE = (3, 30, 40)


class MockCommunicator(Communicator):
    """Sends the same agents in every message: their observations count up, and the last agent's episode has ended."""

    def __init__(
        self, discrete_action: bool = False, visual_inputs: int = 0, num_agents: int = 3,
        brain_name: str = "RealFakeBrain", vec_obs_size: int = 3,
    ) -> None:  # fmt: skip
        super().__init__()
        self.brain_name = brain_name
        self.has_been_closed = False
        sensors = [_sensor(IMAGE, f"camera {i}") for i in range(visual_inputs)] + [_sensor((vec_obs_size,), "vector")]
        action = ActionSpec(0, (2,)) if discrete_action else ActionSpec(2, ())
        self.spec = BehaviorSpec(sensors, action)
        self._agents = num_agents

    def initialize(self, inputs: UnityInputProto, poll_callback: PollCallback | None = None) -> UnityOutputProto:
        """Return the first message: the behavior and its agents."""
        output = UnityOutputProto()
        initialization = output.rl_initialization_output
        initialization.name, initialization.communication_version = "RealFakeAcademy", "1.5.0"
        initialization.brain_parameters.append(brain_parameters(self.brain_name, self.spec.action_spec))
        output.rl_output.CopyFrom(self._rl_output())
        return output

    def exchange(self, inputs: UnityInputProto, poll_callback: PollCallback | None = None) -> UnityOutputProto | None:
        """Return the next message, with the same agents."""
        return UnityOutputProto(rl_output=self._rl_output())

    def close(self) -> None:
        """Set `has_been_closed`."""
        self.has_been_closed = True

    def _rl_output(self) -> UnityRLOutputProto:
        asking = self._agents - 1
        obs = [
            np.arange(self._agents * int(np.prod(sensor.shape)), dtype=np.float32).reshape(self._agents, *sensor.shape)
            for sensor in self.spec.observation_specs
        ]
        agent, alone = np.arange(self._agents, dtype=np.int32), np.zeros(self._agents, np.int32)
        reward = np.ones(self._agents, np.float32)
        nothing = np.zeros(self._agents, np.float32)
        decision = DecisionSteps(
            [column[:asking] for column in obs], reward[:asking], agent[:asking], None, alone[:asking],
            nothing[:asking],
        )  # fmt: skip
        terminal = TerminalSteps(
            [column[asking:] for column in obs], reward[asking:], np.zeros(1, bool), agent[asking:], alone[asking:],
            nothing[asking:],
        )  # fmt: skip
        output = UnityRLOutputProto()
        output.agentInfos[self.brain_name].MergeFromString(AgentWriter(self.spec).write(decision, terminal))
        return output


def _sensor(shape: tuple[int, ...], name: str) -> ObservationSpec:
    return ObservationSpec(shape, (DimensionProperty.UNSPECIFIED,) * len(shape), ObservationType.DEFAULT, name)
