"""Serves an example environment as a Unity build would.

    python -m mlagents_envs.player.serve 3DBall --mlagents-port 5005
    python -m mlagents_envs.player.serve 3DBall --make-executable builds

The second command writes an executable that a trainer can start as its player.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from mlagents_envs.examples.catalog import NAMES, check_name, make
from mlagents_envs.exception import UnityEnvironmentException, UnityException
from mlagents_envs.output import command
from mlagents_envs.player.executable import make_executable
from mlagents_envs.player.faults import (
    EXIT,
    KINDS,
    VERSION,
    FaultyConnection,
    PlayerFault,
    read_fault,
    wait_for_the_end,
)

if TYPE_CHECKING:
    from mlagents_envs.base_env import BaseEnv

FAILED, MISUSED, INTERRUPTED = 1, 2, 130  # exit status


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Serve, or make an executable, and return the exit status: 0 if the trainer closed or hung up."""
    flags, unknown = _parser().parse_known_args(argv)
    try:
        check_name(flags.name)
        fault = read_fault(flags.fault) if flags.fault else PlayerFault()
        if flags.make_executable is not None:
            _make(flags)
            return 0
        if flags.mlagents_port is None:
            raise UnityEnvironmentException(
                f"{flags.name}: --mlagents-port is missing; a trainer gives it to the players that it starts, "
                f"which --make-executable DIR makes of this"
            )
        with _log(flags.log_file):
            return _serve(flags, unknown, fault)
    except UnityException as error:
        print(error, file=sys.stderr)
        return MISUSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mlagents_envs.player.serve",
        description="Serve an example environment to a trainer, as a Unity build would.",
        epilog="Faults: " + "; ".join(f"{kind} {meaning}" for kind, meaning in KINDS.items()) + ". "
        "Unknown arguments are ignored, as Unity does.",
        add_help=False,  # -h would match ignored arguments that begin with it
        allow_abbrev=False,
    )
    parser.add_argument("name", metavar="NAME", help=f"of the example: {', '.join(NAMES)}")
    parser.add_argument("--help", action="help", help="show this and end")
    parser.add_argument("--mlagents-port", type=int, metavar="N", help="where the trainer listens on this machine")
    parser.add_argument("--areas", type=int, metavar="N", help="unless the trainer gives more than 1; default: Unity's")
    parser.add_argument("--png", action="store_true", help="send images as PNG")
    parser.add_argument(
        "--package", metavar="VERSION", help="of com.unity.ml-agents, to send images as it does: 2.0.1, 3.0.0, 4.0.1"
    )
    parser.add_argument("--period", type=int, default=1, metavar="N", help="agents decide each N-th step (default 1)")
    parser.add_argument("--renew-ids", action="store_true", help="agents get a new id for each episode")
    parser.add_argument("--patience", type=float, default=30.0, metavar="S", help="to wait for a trainer (default 30)")
    parser.add_argument("--fault", metavar="KIND", help="a deliberate fault, see below")
    parser.add_argument("--make-executable", type=Path, metavar="DIR", help="write a player there instead, and end")
    parser.add_argument("-logFile", "-logfile", dest="log_file", metavar="PATH", help="where to print, - for here")
    parser.add_argument("-nographics", action="store_true", help="as always here")
    parser.add_argument("-batchmode", action="store_true", help="as always here")
    return parser


def _make(flags: argparse.Namespace) -> None:
    """Write an executable with the given options, and print how it is used."""
    arguments = ["--fault", flags.fault] if flags.fault else []
    arguments += ["--areas", str(flags.areas)] if flags.areas is not None else []
    arguments += ["--png"] if flags.png else []
    arguments += ["--package", flags.package] if flags.package is not None else []
    arguments += ["--period", str(flags.period)] if flags.period != 1 else []
    arguments += ["--renew-ids"] if flags.renew_ids else []
    made = make_executable(flags.make_executable, flags.name, arguments=arguments)
    print(made)
    print(f"mlagents-learn CONFIG.yaml --env {shlex.quote(str(flags.make_executable / flags.name))}")


def _serve(flags: argparse.Namespace, unknown: Sequence[str], fault: PlayerFault) -> int:
    _print(f"{flags.name}, served to the trainer at port {flags.mlagents_port}")
    if unknown:
        _print(f"arguments that are not known and ignored: {shlex.join(unknown)}")
    if fault.kind == "exit":
        _print("It ends at once, as requested.")
        return EXIT
    if fault.kind == "mute":
        wait_for_the_end()
    from mlagents_envs.examples.paced import PacedEnv
    from mlagents_envs.player.player import VERSION as OUR_VERSION
    from mlagents_envs.player.player import ServedPlayer
    from mlagents_envs.player.trainer_connection import (
        TrainerConnection,  # gRPC takes its time, and what is above does not need it
    )
    from mlagents_envs.wire.packages import CURRENT, read_package

    package = CURRENT if flags.package is None else read_package(flags.package)

    def made(seed: int, areas: int | None) -> BaseEnv:
        env = make(flags.name, areas=areas or flags.areas, seed=seed, renew_ids=flags.renew_ids)
        return env if flags.period == 1 else PacedEnv(env, flags.period)

    try:
        with TrainerConnection(flags.mlagents_port) as connection:
            version = VERSION if fault.kind == "version" else OUR_VERSION
            player = ServedPlayer(
                FaultyConnection(connection, fault), made, png=flags.png, version=version, patience=flags.patience,
                package=package,
            )  # fmt: skip
            _print(player.play())
    except KeyboardInterrupt:
        _print("interrupted")
        return INTERRUPTED
    except UnityException as error:
        _print(str(error))
        return FAILED
    return 0


def _print(sentence: str) -> None:
    print(sentence, flush=True)


@contextmanager
def _log(path: str | None) -> Iterator[None]:
    """Redirect output to a file, as Unity's -logFile does."""
    if path is None or path == "-":
        yield
        return
    with ExitStack() as stack:
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            log = stack.enter_context(Path(path).open("w", encoding="utf-8", buffering=1))
        except OSError as error:
            raise UnityEnvironmentException(
                f"-logFile {path}: it cannot be written there ({error.strerror}); name another file"
            ) from error
        stack.enter_context(redirect_stdout(log))
        stack.enter_context(redirect_stderr(log))
        try:
            yield
        except Exception:
            traceback.print_exc()
            raise


if __name__ == "__main__":
    raise SystemExit(main())
