"""The low-level API has the names and the signatures that programs of today use."""

import inspect
import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

import pytest

TABLE = Path(__file__).parents[3] / "shared" / "spec" / "llapi.md"
PARAMETERS = {  # module:name -> parameters in order, with their defaults where there are any
    "base_env:DecisionSteps": "obs, reward, agent_id, action_mask, group_id, group_reward, ended=None",
    "base_env:TerminalSteps": "obs, reward, interrupted, agent_id, group_id, group_reward",
    "base_env:DecisionSteps.empty": "spec",
    "base_env:TerminalSteps.empty": "spec",
    "base_env:ActionTuple": "continuous=None, discrete=None",
    "base_env:ActionTuple.add_continuous": "continuous",
    "base_env:ActionTuple.add_discrete": "discrete",
    "base_env:ActionSpec.empty_action": "n_agents",
    "base_env:ActionSpec.random_action": "n_agents",
    "base_env:ActionSpec.create_continuous": "continuous_size",
    "base_env:ActionSpec.create_discrete": "discrete_branches",
    "base_env:ActionSpec.create_hybrid": "continuous_size, discrete_branches",
    "base_env:ActionSpec._validate_action": "actions, n_agents, name",
    "base_env:BaseEnv.step": "",
    "base_env:BaseEnv.reset": "",
    "base_env:BaseEnv.close": "",
    "base_env:BaseEnv.set_actions": "behavior_name, action",
    "base_env:BaseEnv.set_action_for_agent": "behavior_name, agent_id, action",
    "base_env:BaseEnv.get_steps": "behavior_name",
    "environment:UnityEnvironment": "file_name=None, worker_id=0, base_port=None, seed=0, no_graphics=False, "
    "no_graphics_monitor=False, timeout_wait=60, additional_args=None, side_channels=None, log_folder=None, num_areas=1",
    "communicator:Communicator.initialize": "inputs, poll_callback=None",
    "communicator:Communicator.exchange": "inputs, poll_callback=None",
    "communicator:Communicator.close": "",
    "rpc_communicator:RpcCommunicator": "worker_id=0, base_port=5005, timeout_wait=30",
    "mock_communicator:MockCommunicator": "discrete_action=False, visual_inputs=0, num_agents=3, "
    "brain_name='RealFakeBrain', vec_obs_size=3",
    "rpc_utils:behavior_spec_from_proto": "brain_param_proto, agent_info",
    "rpc_utils:steps_from_proto": "agent_info_list, behavior_spec",
    "rpc_utils:process_pixels": "image_bytes, expected_channels, expected_height, expected_width, mappings=None",
    "env_utils:get_platform": "",
    "env_utils:validate_environment_path": "env_path",
    "env_utils:launch_executable": "file_name, args",
    "exception:UnityWorkerInUseException": "worker_id, why='its port is still in use'",
    "side_channel:SideChannel": "channel_id",
    "side_channel:SideChannel.on_message_received": "msg",
    "side_channel:SideChannel.queue_message_to_send": "msg",
    "side_channel:IncomingMessage": "buffer, offset=0",
    "side_channel.side_channel_manager:SideChannelManager": "side_channels=None",
    "side_channel.side_channel_manager:SideChannelManager.process_side_channel_message": "data",
    "side_channel.side_channel_manager:SideChannelManager.generate_side_channel_messages": "",
    "side_channel.engine_configuration_channel:EngineConfigurationChannel.set_configuration_parameters":
    "width=None, height=None, quality_level=None, time_scale=None, target_frame_rate=None, capture_frame_rate=None",
    "side_channel.engine_configuration_channel:EngineConfigurationChannel.set_configuration": "config",
    "side_channel.environment_parameters_channel:EnvironmentParametersChannel.set_float_parameter": "key, value",
    "side_channel.environment_parameters_channel:EnvironmentParametersChannel.set_uniform_sampler_parameters":
    "key, min_value, max_value, seed",
    "side_channel.environment_parameters_channel:EnvironmentParametersChannel.set_gaussian_sampler_parameters":
    "key, mean, st_dev, seed",
    "side_channel.environment_parameters_channel:EnvironmentParametersChannel.set_multirangeuniform_sampler_parameters":
    "key, intervals, seed",
    "side_channel.float_properties_channel:FloatPropertiesChannel.set_property": "key, value",
    "side_channel.float_properties_channel:FloatPropertiesChannel.get_property": "key",
    "side_channel.float_properties_channel:FloatPropertiesChannel.list_properties": "",
    "side_channel.float_properties_channel:FloatPropertiesChannel.get_property_dict_copy": "",
    "side_channel.stats_side_channel:StatsSideChannel.get_and_reset_stats": "",
    "side_channel.raw_bytes_channel:RawBytesChannel": "channel_id",
    "side_channel.raw_bytes_channel:RawBytesChannel.send_raw_data": "data",
    "side_channel.raw_bytes_channel:RawBytesChannel.get_and_clear_received_messages": "",
    "logging_util:get_logger": "name",
    "logging_util:set_log_level": "log_level",
    "registry:UnityEnvRegistry.register": "new_entry",
    "registry:UnityEnvRegistry.register_from_yaml": "path_to_yaml",
    "registry:UnityEnvRegistry.clear": "",
    "registry.remote_registry_entry:RemoteRegistryEntry":
    "identifier, expected_reward, description, linux_url, darwin_url, win_url, additional_args=None, tmp_dir=None",
    "envs.unity_parallel_env:UnityParallelEnv": "env, seed=None",
    "envs.unity_aec_env:UnityAECEnv": "env, seed=None",
}  # fmt: skip
GYM = ["unity_env", "uint8_visual", "flatten_branched", "allow_multiple_obs", "action_space_seed"]
FIELDS = {
    "DecisionStep": "obs reward agent_id action_mask group_id group_reward",
    "TerminalStep": "obs reward interrupted agent_id group_id group_reward",
    "ActionSpec": "continuous_size discrete_branches",
    "ObservationSpec": "shape dimension_property observation_type name",
    "BehaviorSpec": "observation_specs action_spec",
}
NAMES = {
    "base_env": "AgentId GroupId BehaviorName DimensionProperty ObservationType BehaviorMapping _ActionTupleBase",
    "side_channel": "IncomingMessage OutgoingMessage SideChannel DefaultTrainingAnalyticsSideChannel",
    "exception": "UnityException UnityEnvironmentException UnityCommunicationException UnityCommunicatorStoppedException "
    "UnityObservationException UnityActionException UnityTimeOutException UnitySideChannelException "
    "UnityWorkerInUseException UnityPolicyException",
    "timers": "timed hierarchical_timer set_gauge add_metadata get_timer_tree get_timer_root reset_timers merge_gauges "
    "get_timer_stack_for_thread",
    "logging_util": "CRITICAL ERROR WARNING INFO DEBUG NOTSET",
    "registry": "default_registry UnityEnvRegistry",
    "envs.unity_gym_env": "UnityToGymWrapper UnityGymException ActionFlattener",
    "envs.unity_pettingzoo_base_env": "UnityPettingzooBaseEnv",
    "envs.pettingzoo_env_factory": "PettingZooEnvFactory",
}


def find(place):
    module, _, name = place.partition(":")
    found = import_module(f"mlagents_envs.{module}")
    for part in name.split("."):
        found = getattr(found, part)
    return found


@pytest.mark.parametrize("place", PARAMETERS)
def test_it_takes_what_it_always_took(place):
    got = []
    for name, parameter in inspect.signature(find(place)).parameters.items():
        if name != "self":
            default = parameter.default
            got.append(name if default is inspect.Parameter.empty else f"{name}={default!r}")
    assert ", ".join(got) == PARAMETERS[place]


def test_the_gym_wrapper_takes_what_it_always_took():
    taken = list(inspect.signature(find("envs.unity_gym_env:UnityToGymWrapper")).parameters)
    assert taken[: len(GYM)] == GYM


@pytest.mark.parametrize("name", FIELDS)
def test_its_fields_are_those_of_always(name):
    assert find(f"base_env:{name}")._fields == tuple(FIELDS[name].split())


@pytest.mark.parametrize("module", NAMES)
def test_its_names_are_there(module):
    missing = [name for name in NAMES[module].split() if not hasattr(import_module(f"mlagents_envs.{module}"), name)]
    assert not missing


def test_steps_are_mappings():
    assert issubclass(find("base_env:DecisionSteps"), Mapping)
    assert issubclass(find("base_env:TerminalSteps"), Mapping)


@pytest.mark.skipif(not TABLE.exists(), reason="the specification is not beside the project")
def test_every_name_of_the_specification_is_somewhere():
    text = TABLE.read_text(encoding="utf-8").split("## 7.")[0]
    tokens = set(re.findall(r"`([A-Z]\w+|[a-z]+_\w+)[`(]", text))
    house = "\n".join(
        file.read_text(encoding="utf-8")
        for file in (Path(__file__).parents[1] / "mlagents_envs").rglob("*.py")
        if "_pb2" not in file.name
    )
    of_the_trainers = {"LogProbsTuple"}
    missing = {token for token in tokens - of_the_trainers if not re.search(rf"\b{token}\b", house)}
    assert not missing
