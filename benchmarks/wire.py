"""CPU time of an exchange with a player on the Python side, beside an echo server and the official packages.

    python benchmarks/wire.py [--seconds 5] [--rounds 3] [--peer PYTHON] [--growth EXCHANGES]

A player that always sends the same agents (it computes nothing) plays against `UnityEnvironment` with random actions;
CPU is counted in the process of the environment. `echo` is a gRPC server that sends a constant answer: the lower bound
for Python. --peer names the interpreter of an environment with Unity's own packages. All of them
take turns, --rounds times; the median is shown. --growth prints the memory before and after so many exchanges.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

METHOD = "/communicator_objects.UnityToExternalProto/Exchange"
SCENES = {  # name -> agents, shape of the observation, PNG?
    "1 x 8": (1, (8,), False),
    "12 x 8": (12, (8,), False),
    "64 x 8": (64, (8,), False),
    "256 x 8": (256, (8,), False),
    "256 x 172": (256, (172,), False),
    "9 x 84x84x3 PNG": (9, (3, 84, 84), True),
}
BOUNDS = {"12 x 8": 500, "256 x 8": 900}  # CPU us of an exchange
ACTIONS = 2


def play(scene: str, port: int) -> None:
    """Run a player: send the greeting, then the same agents in answer to every command."""
    import grpc
    import numpy as np

    from mlagents_envs.communicator_objects.unity_message_pb2 import UnityMessageProto
    from mlagents_envs.wire.images import encode_png

    agents, shape, compressed = SCENES[scene]
    hello = UnityMessageProto()
    hello.header.status = 200
    greeting = hello.unity_output.rl_initialization_output
    greeting.name, greeting.communication_version, greeting.package_version = "AcademySingleton", "1.5.0", "3.0.0"
    for capability in greeting.capabilities.DESCRIPTOR.fields_by_name:
        setattr(greeting.capabilities, capability, True)
    ready = UnityMessageProto()
    ready.header.status = 200
    first, rng = UnityMessageProto(), np.random.default_rng(0)
    first.header.status = 200
    listed = first.unity_output.rl_output.agentInfos["Scene?team=0"]
    for agent in range(agents):
        info = listed.value.add(id=agent, reward=0.1)
        seen = info.observations.add(shape=shape, name="seen", dimension_properties=[1] * len(shape))
        numbers = rng.random(shape, np.float32)
        if compressed:
            picture = np.repeat(np.repeat(numbers[:, ::12, ::12], 12, 1), 12, 2)  # flat areas, as in GridWorld
            seen.compression_type, seen.compressed_data = 1, encode_png(picture)
        else:
            seen.float_data.data.extend(numbers.ravel().tolist())
    again = first.SerializeToString()
    brain = first.unity_output.rl_initialization_output.brain_parameters.add(brain_name="Scene?team=0")
    brain.action_spec.num_continuous_actions = ACTIONS
    with grpc.insecure_channel(f"localhost:{port}", options=[("grpc.max_receive_message_length", -1)]) as channel:
        exchange = channel.unary_unary(METHOD)
        exchange(hello.SerializeToString(), wait_for_ready=True)
        exchange(ready.SerializeToString())
        answer, message = b"", first.SerializeToString()
        with suppress(grpc.RpcError):  # the trainer closed the connection
            while len(answer) != 5:  # a header of status 400 and nothing else
                answer, message = exchange(message), again


def measure(player: str, seconds: float, growth: int) -> dict[str, float]:
    """Step an environment; return CPU us of an exchange, exchanges a second, and how memory grew (MiB)."""
    import time

    from mlagents_envs.environment import UnityEnvironment

    env = UnityEnvironment(file_name=player, base_port=free_port(), timeout_wait=60)
    try:
        env.reset()
        (name,) = env.behavior_specs
        spec = env.behavior_specs[name].action_spec

        def exchanges(n: int) -> None:
            for _ in range(n):
                decision, _ = env.get_steps(name)
                env.set_actions(name, spec.random_action(len(decision)))
                env.step()

        exchanges(50)
        before = memory()
        cpu, start, count = time.process_time(), time.perf_counter(), 0
        while time.perf_counter() - start < seconds or count < growth:
            exchanges(25)
            count += 25
        cpu, wall = time.process_time() - cpu, time.perf_counter() - start
        return {"cpu": cpu / count * 1e6, "rate": count / wall, "growth": memory() - before}
    finally:
        env.close()


def echo(player: str, seconds: float, growth: int) -> dict[str, float]:
    """Answer with constant bytes; return the same numbers as `measure`."""
    import threading
    import time
    from concurrent.futures import ThreadPoolExecutor

    import grpc

    from mlagents_envs.base_env import ActionSpec
    from mlagents_envs.wire.replies import ActionWriter, closing, command

    agents = SCENES[Path(player).stem.replace("-", " ")][0]
    spec = ActionSpec(ACTIONS, ())
    ready = command([ActionWriter("Scene?team=0", spec).write(spec.empty_action(agents))], b"")
    done, times = threading.Event(), []
    port = free_port()

    def answer(_: bytes, __: object) -> bytes:
        times.append((time.process_time(), time.perf_counter()))
        if times[-1][1] - times[min(50, len(times) - 1)][1] < seconds:
            return ready
        done.set()
        return closing()

    handler = grpc.unary_unary_rpc_method_handler(answer)
    server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("communicator_objects.UnityToExternalProto", {"Exchange": handler}),)
    )
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    process = subprocess.Popen([player, "--mlagents-port", str(port)])
    done.wait()
    process.wait()
    server.stop(None)
    (cpu, start), (cpu_end, end), count = times[50], times[-1], len(times) - 51
    return {"cpu": (cpu_end - cpu) / count * 1e6, "rate": count / (end - start), "growth": 0.0}


def memory() -> float:
    """Return the resident memory of this process in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def free_port() -> int:
    """Return a TCP port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def child(interpreter: str, role: str, player: str, seconds: float, growth: int) -> dict[str, float]:
    """Measure in a process of its own."""
    command = [interpreter, __file__, "--role", role, "--player", player, "--seconds", str(seconds),
               "--growth", str(growth)]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    numbers: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return numbers


def compare(seconds: float, rounds: int, peer: str | None, growth: int) -> int:
    """Print the table; return 1 if a bound is missed."""
    contestants = [("ours", sys.executable, "measure"), ("echo", sys.executable, "echo")]
    if peer is not None:
        contestants.append(("official", peer, "measure"))
    print(f"{'scene':16s} {'':9s} {'CPU us':>8s} {'exchanges/s':>12s} {'decisions/s':>12s} {'ours is':>8s}")
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        for scene, (agents, _, _) in SCENES.items():
            player = executable(Path(folder), scene)
            runs: dict[str, list[dict[str, float]]] = {name: [] for name, _, _ in contestants}
            for _ in range(rounds):
                for name, interpreter, role in contestants:
                    runs[name].append(child(interpreter, role, player, seconds, 0))
            middle = {
                name: {key: statistics.median(run[key] for run in them) for key in ("cpu", "rate")}
                for name, them in runs.items()
            }
            for name, numbers in middle.items():
                ratio = f"x{numbers['cpu'] / middle['ours']['cpu']:.2f}" if name != "ours" else ""
                print(f"{scene:16s} {name:9s} {numbers['cpu']:8.0f} {numbers['rate']:12.0f} "
                      f"{numbers['rate'] * agents:12.0f} {ratio:>8s}", flush=True)  # fmt: skip
            missed += middle["ours"]["cpu"] > BOUNDS.get(scene, float("inf"))
        if growth:
            grown = child(sys.executable, "measure", executable(Path(folder), "12 x 8"), 0, growth)["growth"]
            print(f"memory grew by {grown:.2f} MiB over {growth} exchanges")
            missed += grown > 1.0
    print("every bound is met" if not missed else f"{missed} missed")
    return 1 if missed else 0


def executable(folder: Path, scene: str) -> str:
    """Write a player that can be started like a build."""
    file = folder / (scene.replace(" ", "-") + ".x86_64")
    file.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{__file__}' --scene '{scene}' \"$@\"\n")
    file.chmod(0o755)
    return str(file)


def main() -> int:
    """Do what the flags say; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", help="an interpreter that has Unity's own mlagents_envs")
    parser.add_argument("--growth", type=int, default=0, help="exchanges over which memory is watched")
    parser.add_argument("--role", choices=["measure", "echo"], help=argparse.SUPPRESS)
    parser.add_argument("--player", help=argparse.SUPPRESS)
    parser.add_argument("--scene", help=argparse.SUPPRESS)
    parser.add_argument("--mlagents-port", type=int, help=argparse.SUPPRESS)
    flags, _ = parser.parse_known_args()
    if flags.scene is not None:
        play(flags.scene, flags.mlagents_port)
        return 0
    if flags.role is not None:
        print(json.dumps((measure if flags.role == "measure" else echo)(flags.player, flags.seconds, flags.growth)))
        return 0
    return compare(flags.seconds, flags.rounds, flags.peer, flags.growth)


if __name__ == "__main__":
    raise SystemExit(main())
