"""Does anything break or get lost under kills, hostile players, damaged files, full disks and values like NaN?

    python benchmarks/attacks.py [KIND ...] [--share 1.0] [--seed 1]

Each kind is tried as often as KINDS says, times --share. The outcome must be a result or one of our exceptions with a
message; anything else counts as a break and is printed. Ends with status 1 if anything broke, was lost, or was left
behind.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import logging
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import psutil
import torch

from mlagents.data.finite import NotFinite
from mlagents.envs.finite import refuse_faults, with_faults
from mlagents.envs.local import LocalPool
from mlagents.envs.steps import StepBatch
from mlagents.errors import RunError
from mlagents.run.checkpoints import Checkpoints, load_checkpoint
from mlagents.run.results import ResultsFolder
from mlagents.run.status import Status
from mlagents.settings.mistakes import SettingsError
from mlagents.settings.reading import load
from mlagents_envs.base_env import BaseEnv
from mlagents_envs.communicator_objects.header_pb2 import HeaderProto
from mlagents_envs.communicator_objects.unity_message_pb2 import UnityMessageProto
from mlagents_envs.demonstrations.file import read as read_demonstration
from mlagents_envs.demonstrations.recording import DemonstrationRecorder
from mlagents_envs.environment import UnityEnvironment
from mlagents_envs.examples.catalog import make
from mlagents_envs.exception import UnityException
from mlagents_envs.player.executable import make_executable
from mlagents_envs.player.player import Scene
from mlagents_envs.wire.codec import AgentReader, read_message
from mlagents_envs.wire.server import METHOD

ROOT = Path(__file__).parents[1]
OWN_ERRORS = (UnityException, SettingsError, RunError, NotFinite)
CONFIG = """
behaviors:
  Basic:
    trainer_type: ppo
    hyperparameters: {batch_size: 32, buffer_size: 256}
    network_settings: {hidden_units: 20, num_layers: 1}
    max_steps: 100000000
    time_horizon: 3
    summary_freq: 1000
    checkpoint_interval: 300
"""


@dataclass
class Tally:
    """The results of the attacks of one kind."""

    tried: int = 0
    refused: int = 0  # one of our exceptions
    broke: list[str] = field(default_factory=list)  # anything else that was raised or printed
    lost: list[str] = field(default_factory=list)  # what should still be there
    left: list[str] = field(default_factory=list)  # processes that outlived their trainer

    def attack(self, action: Callable[[], object]) -> None:
        """Call something that must return or raise one of our exceptions."""
        self.tried += 1
        try:
            action()
        except OWN_ERRORS as error:
            self.refused += 1
            if not str(error).strip():
                self.broke.append(f"{type(error).__name__} without a message")
        except Exception:
            self.broke.append(traceback.format_exc(limit=-3))

    def check_output(self, output: str) -> None:
        """Count a traceback in the output of a program as a break."""
        self.broke += re.findall(r"Traceback.*", output)[:1]

    def check(self, checkpoint: Path, at_least: int) -> None:
        """Count a loss unless the checkpoint can be loaded and is of this step or a later one."""
        try:
            step = int(load_checkpoint(checkpoint)["global_step"]["_GlobalSteps__global_step"])
        except RunError as error:
            self.lost.append(str(error))
            return
        if step < at_least:
            self.lost.append(f"{checkpoint} is of step {step}; the log says that {at_least} was saved")


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Return bytes with a few of them changed, removed, inserted or repeated."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        at = rng.randrange(len(out) + 1)
        length = rng.choice((1, 1, 2, 8, 100))
        kind = rng.randrange(5)
        if kind == 0 and at < len(out):
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del out[at : at + length]
        elif kind == 2:
            out[at:at] = rng.randbytes(length)
        elif kind == 3:
            out[at:at] = out[at : at + length]
        else:
            del out[at:]
    return bytes(out)


def kills(tally: Tally, n: int, rng: random.Random, folder: Path) -> None:
    """Kill a trainer again and again, in process and over two players, and resume it."""
    (folder / "basic.yaml").write_text(CONFIG)
    make_executable(folder / "builds", "Basic")
    places = (("builtin:Basic", "1"), (str(folder / "builds/Basic"), "2"))
    newest = {env: 0 for env, _ in places}
    for turn in range(n):
        env, count = places[turn % 2]
        run = folder / f"results/{count}"
        resume = ["--resume"] if newest[env] else ["--force"]
        command = [sys.executable, "-m", "mlagents", "basic.yaml", "--env", env, "--num-envs", count, "--run-id", count]
        process = subprocess.Popen(
            [*command, *resume], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        saved, output = newest[env], ""
        assert process.stdout is not None
        for line in process.stdout:
            output += line
            if found := re.search(r"Exported .*-(\d+)\.onnx", line):
                saved = int(found[1])
                break
        family = psutil.Process(process.pid).children(recursive=True)
        time.sleep(rng.uniform(0, 0.3))
        process.kill()
        output += process.communicate()[0]
        tally.tried += 1
        tally.check_output(output)
        tally.check(run / "Basic/checkpoint.pt", saved)
        with suppress(ValueError, OSError):
            json.loads((run / "run_logs/training_status.json").read_text())
        newest[env] = max(saved, newest[env])
        _, alive = psutil.wait_procs(family, timeout=10)
        tally.left += [str(one) for one in alive]


def scenes() -> Iterator[tuple[BaseEnv, Scene]]:
    """Yield environments with every kind of observation and action, and the player's scene of each."""
    for name, png in (
        ("3DBall", False),
        ("Basic", False),
        ("GridWorld", True),
        ("GridWorld", False),
        ("Sorter", False),
    ):
        env = make(name, areas=3, seed=1)
        env.reset()
        yield env, Scene(env, png=png)


def messages(tally: Tally, n: int, rng: random.Random, _: Path) -> None:
    """Decode messages of players with some of their bytes changed."""
    whole, readers = [], []
    for env, scene in scenes():
        whole.append(scene.report())
        readers.append({name: AgentReader(name, spec) for name, spec in env.behavior_specs.items()})

    def decode(which: int) -> None:
        known = readers[which]
        for name, agents in read_message(mutated(whole[which], rng)).agents.items():
            if name in known:
                known[name].read(agents)

    for turn in range(n):
        tally.attack(partial(decode, turn % len(whole)))


def conversations(tally: Tally, n: int, rng: random.Random, _: Path) -> None:
    """Send a trainer that waits for the Editor what no player sends."""
    whole = next(scenes())[1].report()
    greeting = UnityMessageProto(header=HeaderProto(status=200))
    hello = greeting.unity_output.rl_initialization_output
    hello.name, hello.communication_version, hello.package_version = "AcademySingleton", "1.5.0", "4.0.1"
    hello.capabilities.baseRLCapabilities = True
    empty = UnityMessageProto(header=HeaderProto(status=200)).SerializeToString()
    for turn in range(n):
        port = 20000 + turn % 10000

        def hostile(port: int = port) -> None:
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                call = channel.unary_unary(METHOD)
                script = [greeting.SerializeToString(), empty, whole, whole]
                broken = rng.randrange(len(script))
                script[broken] = mutated(script[broken], rng) if rng.random() < 0.8 else rng.randbytes(50)
                for message in script:
                    with suppress(grpc.RpcError):
                        call(message, timeout=rng.choice((0.05, 1.0)), wait_for_ready=True)

        def listen(port: int = port) -> None:
            with UnityEnvironment(None, base_port=port, timeout_wait=1) as env:
                env.reset()
                env.step()

        talker = threading.Thread(target=hostile, daemon=True)
        talker.start()
        tally.attack(listen)
        talker.join(20)
        if talker.is_alive():
            tally.left.append(f"a call of conversation {turn} was never answered")


def demonstrations(tally: Tally, n: int, rng: random.Random, folder: Path) -> None:
    """Read recordings with some of their bytes changed."""
    env = make("GridWorld", areas=1, seed=1)
    file = folder / "whole.demo"
    env.reset()
    with DemonstrationRecorder(file, "GridWorld", env.SPEC) as recorder:
        for turn in range(12):
            decision, _ = env.get_steps(env.behavior)
            recorder.record([column[0] for column in decision.obs], 0.5, (), (1,), done=turn % 5 == 4)
            env.step()
    data, damaged = file.read_bytes(), folder / "damaged.demo"
    for _ in range(n):
        damaged.write_bytes(mutated(data, rng))
        tally.attack(lambda: read_demonstration(damaged))


def files_of_settings(tally: Tally, n: int, rng: random.Random, folder: Path) -> None:
    """Load files of settings with some of their bytes changed."""
    whole = [path.read_bytes() for path in sorted((ROOT / "config").rglob("*.yaml"))]
    damaged = folder / "damaged.yaml"
    for turn in range(n):
        damaged.write_bytes(mutated(whole[turn % len(whole)], rng))
        tally.attack(lambda: load(str(damaged), {}))


def checkpoints(tally: Tally, n: int, rng: random.Random, folder: Path) -> None:
    """Load checkpoints and status files with some of their bytes changed, cut, or emptied."""
    state = {"Policy": {"w": torch.zeros(50)}, "global_step": {"_GlobalSteps__global_step": torch.tensor([7])}}
    results = ResultsFolder(folder / "run")
    results.create()
    status = Status(results.status, {})
    Checkpoints(results, "B", status, keep=3).save(7, state, reward=1.0, export=lambda path: path.touch())
    whole = {path: path.read_bytes() for path in (results.behavior("B") / "checkpoint.pt", results.status)}
    for turn in range(n):
        path, data = list(whole.items())[turn % 2]
        path.write_bytes(mutated(data, rng) if turn % 10 else data[: rng.randrange(len(data))])
        if path == results.status:
            tally.attack(lambda: Status(results.status, {}).load())
        else:
            tally.attack(partial(load_checkpoint, path))
    results.unlock()


def disks(tally: Tally, n: int, rng: random.Random, folder: Path) -> None:
    """Fill the disk of a run, or take its folder away, while it trains; then let it save again."""
    (folder / "basic.yaml").write_text(CONFIG)
    for turn in range(n):
        disk = folder / f"disk{turn}"
        disk.mkdir()
        full = (
            turn % 2 == 0
            and not subprocess.run(
                ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], capture_output=True, check=False
            ).returncode
        )
        command = [sys.executable, "-m", "mlagents", "basic.yaml", "--env", "builtin:Basic", "--run-id", "run",
                   "--results-dir", str(disk / "results")]  # fmt: skip
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert process.stdout is not None
        output = ""
        for line in process.stdout:
            output += line
            if "Exported" in line:
                break
        time.sleep(rng.uniform(0, 0.2))
        if full:
            subprocess.run(["dd", "if=/dev/zero", f"of={disk / 'filler'}"], capture_output=True, check=False)
        else:
            with suppress(OSError):
                (disk / "results").rename(disk / "elsewhere")
        time.sleep(0.5)
        (disk / "filler").unlink(missing_ok=True)
        process.send_signal(signal.SIGTERM)
        output += process.communicate(timeout=120)[0]
        tally.tried += 1
        tally.check_output(output)
        tally.check(disk / "results/run/Basic/checkpoint.pt", 1)
        if full:
            subprocess.run(["umount", "-l", str(disk)], check=True)


def numbers(tally: Tally, n: int, rng: random.Random, folder: Path) -> None:
    """Put values that are not finite into observations, rewards, recordings and checkpoints."""
    state = {"Policy": {"w": torch.zeros(50)}, "global_step": {"_GlobalSteps__global_step": torch.tensor([7])}}
    results = ResultsFolder(folder / "numbers")
    results.create()
    saved = Checkpoints(results, "B", Status(results.status, {}), keep=3)
    env = make("3DBall", areas=4, seed=1)
    pool = LocalPool(env)
    pool.reset()
    step = pool.recv()[env.behavior]
    recorder = DemonstrationRecorder(folder / "numbers.demo", "3DBall", env.SPEC)
    for turn in range(n):
        bad = rng.choice((np.nan, np.inf, -np.inf, 1e20, -1e30))
        before = tally.refused
        if turn % 4 == 0:
            column = step.obs[0].copy()
            column[rng.randrange(4), rng.randrange(8)] = bad
            tally.attack(partial(enter, replace(step, obs=(column,)), env))
        elif turn % 4 == 1:
            reward = np.array([0, 0, bad, 0], np.float32)
            tally.attack(partial(enter, replace(step, reward=reward), env))
        elif turn % 4 == 2:
            tally.attack(partial(recorder.record, [np.full(8, bad)], 0.0, (0, 0)))
        else:
            ruined = {**state, "Policy": {"w": torch.tensor([1.0, bad * 1e30 if np.isfinite(bad) else bad])}}
            tally.attack(partial(saved.save, 8, ruined, reward=None, export=lambda path: None))
        if tally.refused == before:
            tally.lost.append(f"input {turn % 4} accepted {bad}")
    recorder.close()
    results.unlock()


def enter(step: StepBatch, env: Any) -> None:
    """Take a batch as an environment's worker and a run do."""
    refuse_faults(with_faults(step, env.SPEC, env), "B")


KINDS: dict[str, tuple[int, Callable[[Tally, int, random.Random, Path], None]]] = {
    "kills": (80, kills),
    "conversations": (500, conversations),
    "messages": (20_000, messages),
    "demonstrations": (8_000, demonstrations),
    "settings": (2_000, files_of_settings),
    "checkpoints": (200, checkpoints),
    "disks": (20, disks),
    "numbers": (50, numbers),
}


def main() -> int:
    """Attack, print the table, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)} (default: all)")
    parser.add_argument("--share", type=float, default=1.0, help="of the attacks of each kind")
    parser.add_argument("--seed", type=int, default=1)
    flags = parser.parse_args()
    logging.disable(logging.CRITICAL)
    bad = 0
    print(f"{'kind':16s} {'tried':>6s} {'refused':>8s} {'broke':>6s} {'lost':>5s} {'left':>5s} {'s':>7s} {'MiB':>6s}")
    for kind in flags.kinds or KINDS:
        count, attack = KINDS[kind]
        tally, start = Tally(), time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            attack(tally, max(1, round(count * flags.share)), random.Random(flags.seed), Path(folder))
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{kind:16s} {tally.tried:6d} {tally.refused:8d} {len(tally.broke):6d} {len(tally.lost):5d} "
              f"{len(tally.left):5d} {time.perf_counter() - start:7.1f} {memory:6.0f}", flush=True)  # fmt: skip
        for what in (*tally.broke[:3], *tally.lost[:3], *tally.left[:3]):
            print("    " + what.strip().replace("\n", "\n    "))
        bad += len(tally.broke) + len(tally.lost) + len(tally.left)
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
