"""`mlagents-watch`: shows an example environment, live in a browser or as a picture.

Examples of its use:
    mlagents-watch builtin:Pyramids
    mlagents-watch builtin:Pyramids --run first
    mlagents-watch builtin:PushBlock --keyboard --record-demo mine.demo
    mlagents-watch builtin:3DBall --model 3DBall.onnx --areas 12 --record balls.gif
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from mlagents_envs import __version__
from mlagents_envs.examples.catalog import NAMES, make
from mlagents_envs.exception import UnityEnvironmentException, UnityException, UnityPolicyException
from mlagents_envs.output import command
from mlagents_envs.printable import printable
from mlagents_envs.watch.browser import open_page

if TYPE_CHECKING:
    from mlagents_envs.examples.example import ExampleEnv
    from mlagents_envs.examples.policy import AgentPolicy
    from mlagents_envs.watch.play import Play
    from mlagents_envs.watch.server import Server

SCHEME = "builtin:"
PORT = 6007
SECONDS = 10.0
HOUR = 3600  # seconds; longer pictures would not fit into memory
MISUSED, INTERRUPTED = 2, 130  # exit status


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Watch until interrupted, or write a picture, and return the exit status."""
    flags = _parser().parse_args(argv)
    try:
        _check(flags)
        return _record(flags) if flags.record is not None else _watch(flags)
    except UnityException as error:
        print(error, file=sys.stderr)
        return MISUSED
    except KeyboardInterrupt:
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mlagents-watch",
        description="Show an example environment: live in a browser, or as a picture (--record).",
        epilog=f"Examples: {', '.join(NAMES)}.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("example", metavar="builtin:NAME", help="which example, see below")
    players = parser.add_argument_group("the policy of the agents (default: random)").add_mutually_exclusive_group()
    players.add_argument("--model", type=Path, metavar="FILE.onnx", help="a model, trained here or in Unity")
    players.add_argument("--run", metavar="RUN-ID", help="the models that a run of mlagents-learn has written")
    players.add_argument("--random", action="store_true", help="random actions")
    parser.add_argument("--results-dir", type=Path, default=Path("results"), metavar="DIR", help="the folder of runs")
    parser.add_argument(
        "--keyboard", action="store_true",
        help="arrow keys or W A S D drive the picked agent; the others do nothing unless a policy is named",
    )  # fmt: skip
    parser.add_argument(
        "--areas", type=int, metavar="N", help="how many (default: as Unity's scene, 1 with --keyboard or --record)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of every random number (default 0)")
    parser.add_argument("--port", type=int, default=PORT, metavar="P", help=f"of the page, or a later one ({PORT})")
    parser.add_argument("--no-browser", action="store_true", help="only print the address of the page")
    parser.add_argument("--record-demo", type=Path, metavar="FILE.demo", help="record what the first agent does")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write a .gif, .webp, .png or .mp4 and end")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that --record or --record-demo names")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, metavar="S", help=f"of the scene, with --record ({SECONDS:g})"
    )
    return parser


def _check(flags: argparse.Namespace) -> None:
    """Raise UnityEnvironmentException for invalid flags, before anything is loaded."""
    for flag, file in (("--record", flags.record), ("--record-demo", flags.record_demo)):
        if file is not None and file.exists() and not flags.overwrite:
            raise UnityEnvironmentException(
                f"{flag} {file}: it is there already; name another file, or replace it with --overwrite"
            )
    if flags.record is not None:
        from mlagents_envs.watch.pictures import check_file

        check_file(flags.record)
        if flags.keyboard or flags.record_demo is not None:
            both = "--keyboard" if flags.keyboard else "--record-demo"
            raise UnityEnvironmentException(f"{both} needs the live page, which --record does not have; remove one")
    if not 0 < flags.seconds <= HOUR:
        raise UnityEnvironmentException(f"--seconds is {flags.seconds:g}; it must be more than 0 and at most {HOUR:,}")
    if not 0 <= flags.port <= 65535:
        raise UnityEnvironmentException(f"--port is {flags.port}; ports go from 1 to 65535, and 0 takes a free one")


def _play(flags: argparse.Namespace, areas: int | None) -> Play:
    """Return the example with its policies. areas: the default of --areas."""
    from mlagents_envs.examples.look.look import look_of
    from mlagents_envs.watch.play import Play

    name = flags.example.removeprefix(SCHEME)
    example = make(name, areas=areas if flags.areas is None else flags.areas, seed=flags.seed)
    if flags.keyboard and not look_of(example).keys:
        raise UnityEnvironmentException(
            f"{SCHEME}{name}: it has too many actions for --keyboard; watch it without"
        )
    players = {behavior: _player(flags, example, behavior) for behavior in example.BEHAVIORS}
    return Play(example, players)


def _player(flags: argparse.Namespace, example: ExampleEnv, behavior: str) -> AgentPolicy:
    from mlagents_envs.examples.policy import ModelPolicy
    from mlagents_envs.watch.policies import IdlePolicy, RandomPolicy

    if flags.model is not None:
        return ModelPolicy(flags.model, example.SPEC, behavior=f"{SCHEME}{example.NAME}")
    if flags.run is not None:
        return ModelPolicy(_model_of_run(flags, behavior), example.SPEC, behavior=f"{SCHEME}{example.NAME}")
    if flags.keyboard and not flags.random:
        return IdlePolicy(example.SPEC)
    return RandomPolicy(example.SPEC, seed=flags.seed)


def _model_of_run(flags: argparse.Namespace, behavior: str) -> Path:
    """Return the model file that a run has written for a behavior."""
    folder: Path = flags.results_dir / flags.run
    name = behavior.partition("?")[0]
    model = folder / f"{name}.onnx"
    if model.is_file():
        return model
    if not folder.is_dir():
        raise UnityPolicyException(f"--run {flags.run}: there is no folder {folder}; give --results-dir")
    there = ", ".join(sorted(file.name for file in folder.glob("*.onnx"))) or "no model yet"
    raise UnityPolicyException(f"--run {flags.run}: {folder} has no {model.name}, but {there}")


def _watch(flags: argparse.Namespace) -> int:
    from mlagents_envs.watch.demo import DemoRecording
    from mlagents_envs.watch.live import Live
    from mlagents_envs.watch.server import Server
    from mlagents_envs.watch.stage import Stage

    play = _play(flags, 1 if flags.keyboard else None)
    with ExitStack() as stack:
        stage = Stage(play.example, title=_title(flags))
        demo = None
        if flags.record_demo is not None:
            demo = stack.enter_context(DemoRecording(flags.record_demo, play.example, stage.picked))
        server = Server(flags.port)
        stack.callback(server.close)
        try:
            _announce(flags, stage.title, server)
            Live(play, stage, server, keyboard=flags.keyboard, demo=demo).run()
        except KeyboardInterrupt:
            if demo is not None:
                print(f"\n{flags.record_demo}: {demo.records} records.")
    return 0


def _announce(flags: argparse.Namespace, title: str, server: Server) -> None:
    """Print the address of the page, and open it."""
    taken = f"Port {flags.port} is taken, so it is the next free one.\n" if flags.port not in (0, server.port) else ""
    print(f"{printable(title)}: {server.address}\n{taken}Ctrl-C ends it.", flush=True)
    if not flags.no_browser and not open_page(server.address):
        print("No browser was found here; open that address in one on this machine.", flush=True)


def _record(flags: argparse.Namespace) -> int:
    from mlagents_envs.examples.look.look import look_of
    from mlagents_envs.watch.pictures import record

    play = _play(flags, 1)
    pictures = record(play, look_of(play.example), flags.record, seconds=flags.seconds)
    print(f"{flags.record}: {pictures} picture{'s' if pictures != 1 else ''} of {printable(_title(flags))}.")
    return 0


def _title(flags: argparse.Namespace) -> str:
    name = flags.example.removeprefix(SCHEME)
    if flags.model is not None:
        return f"{name}, played by {flags.model.name}"
    if flags.run is not None:
        return f"{name}, played by run {flags.run}"
    return f"{name}, played with keys" if flags.keyboard else f"{name}, with random actions"


if __name__ == "__main__":
    raise SystemExit(main())
