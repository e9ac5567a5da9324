"""`mlagents-evaluate`: plays trained models and prints what they score."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from mlagents import __version__
from mlagents.cli import add_flags, by_section
from mlagents_envs.output import command

if TYPE_CHECKING:
    from mlagents.settings.options import RunOptions
    from mlagents.training.evaluate import Prepared

MISTAKE, FAILED = 2, 1  # exit status, as that of mlagents-learn
EPISODES = 100
SHOWN_EVERY, LOGGED_EVERY = 0.25, 10.0  # seconds between two lines of progress: in a terminal, and elsewhere
EPILOG = """examples:
  mlagents-evaluate first --env builtin:3DBall
      the last model of results/first, in an environment that training did not play in
  mlagents-evaluate first --env builds/Game --num-envs 4 --episodes 1000 --checkpoint best
  mlagents-evaluate Pyramids.onnx --env builtin:Pyramids --success-threshold 1 --json > pyramids.json
      a model of Unity's own trainers; every episode as JSON

Of each environment the first episodes that begin count, and all of those are played to their end, so that short ones
are not favored. The interval is Student's; agents of one group count as one observation. The exit status is 0, 2 for
mistakes, 1 if the environment fails, and 130 after Ctrl-C, which prints what has ended by then."""


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    from mlagents.learn import one_thread_each

    given = vars(make_parser().parse_args(argv))
    own = {key: given.pop(key) for key in list(given) if "." not in key}
    one_thread_each()
    from mlagents.errors import RunError  # here, so that --help is quick
    from mlagents.settings.mistakes import SettingsError
    from mlagents_envs.exception import UnityException, UnityPolicyException

    try:
        results = sys.stdout
        with redirect_stdout(sys.stderr):  # what environments and libraries print is no part of the results
            return _evaluate(own, by_section(given), results)
    except (SettingsError, RunError, UnityPolicyException) as error:
        print(error, file=sys.stderr)
        return MISTAKE
    except UnityException as error:
        print(error, file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("Stopped before an episode was played.", file=sys.stderr)
        return 128 + signal.SIGINT


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; a flag of the environment that is not given leaves no trace, so that the run's holds."""
    parser = argparse.ArgumentParser(
        prog="mlagents-evaluate",
        description="Play trained models and print what they score.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument(
        "what", metavar="RUN-ID|FILE.onnx|FOLDER", help="a run, a model, or a folder with NAME.onnx for each behavior"
    )
    parser.add_argument(
        "--episodes", type=int, default=EPISODES, metavar="N", help=f"of each team of each behavior ({EPISODES})"
    )
    parser.add_argument("--behavior", default=None, metavar="NAME", help="score this one only; the others play too")
    parser.add_argument(
        "--checkpoint", default=None, metavar="best|last|STEP", help="which model of a run (default: last)"
    )
    parser.add_argument("--results-dir", type=Path, default="results", metavar="DIR", help="the folder of all runs")
    actions = parser.add_mutually_exclusive_group()
    actions.add_argument(
        "--deterministic", action="store_true", default=True, help="take the most probable actions (default)"
    )
    actions.add_argument("--stochastic", dest="deterministic", action="store_false", help="draw them, as in training")
    parser.add_argument(
        "--success-threshold", type=float, default=None, metavar="X",
        help="print how many episodes earn more than X, group rewards included",
    )  # fmt: skip
    parser.add_argument("--max-length", type=int, metavar="N", help="decisions after which an episode is cut (2000)")
    parser.add_argument("--json", action="store_true", default=False, help="print JSON with every episode")
    add_flags(parser, ("environment", "Unity's engine"), without=("--watch", "--seed", "--max-lifetime-restarts",
              "--restarts-rate-limit-n", "--restarts-rate-limit-period-s"))  # fmt: skip
    parser.add_argument(
        "--seed", dest="env_settings.seed", metavar="N",
        help="of the first environment, the next has the next; and of actions that are drawn (10000)",
    )  # fmt: skip
    return parser


def _evaluate(own: Mapping[str, Any], flags: Mapping[str, Mapping[str, Any]], results: TextIO) -> int:
    from mlagents.evaluation.models import find_models
    from mlagents.evaluation.play import Counts
    from mlagents.evaluation.settings import MAX_LENGTH
    from mlagents.run.console import set_up_logging
    from mlagents.training.evaluate import file_players, prepare, read_options

    set_up_logging(None, debug=False, stream=sys.stderr)
    models = find_models(own["what"], results_dir=own["results_dir"], checkpoint=own["checkpoint"])
    options = read_options(models, flags)
    behaviors = None if own["behavior"] is None else (own["behavior"],)
    max_length = own.get("max_length", MAX_LENGTH)
    counts = Counts(own["episodes"], options.env_settings.num_envs, behaviors, max_length)
    players = file_players(models, options, own["deterministic"])
    with prepare(options, counts, players, models=models) as prepared:
        return _play(prepared, options, own, results)


def _play(prepared: Prepared, options: RunOptions, own: Mapping[str, Any], results: TextIO) -> int:
    """Play and print what has ended, whatever ends it; return the exit status."""
    play, progress = prepared.play, Progress(sys.stderr)
    try:
        with interruptible() as stopped:
            prepared.run(stopped=stopped, progress=progress.show)
    finally:
        progress.close()
        if play.ended or play.complete:
            with redirect_stdout(results):
                report(prepared, options, own)
    if play.complete:
        return 0
    print(f"Stopped: {play.ended} of {play.wanted} episodes have ended. Long ones are missing.", file=sys.stderr)
    return 128 + signal.SIGINT


def report(prepared: Prepared, options: RunOptions, own: Mapping[str, Any]) -> None:
    """Print what the episodes that have ended say."""
    from mlagents.evaluation.report import document, lines
    from mlagents_envs.printable import printable

    play, threshold = prepared.play, own["success_threshold"]
    seed, env = options.env_settings.seed, options.env_settings.env_path
    if own["json"]:
        about = {
            "model": own["what"], "checkpoint": own["checkpoint"], "env": env, "seed": seed,
            "num_envs": options.env_settings.num_envs, "deterministic": own["deterministic"],
            "complete": play.complete, "vanished": play.vanished,
        }  # fmt: skip
        print(document(play.results(), threshold, play.stats, about))
        return
    how = "the most probable actions" if own["deterministic"] else "actions that are drawn"
    print(f"{printable(own['what'])} in {printable(env or 'the Editor')}, seed {seed}, {how}")
    for line in lines(play.results(), threshold, play.stats):
        print(line)
    if play.vanished:
        print(f"{play.vanished} agents vanished in the middle of an episode; others were played instead.")


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Let Ctrl-C and SIGTERM end the play after the present tick; a second one does not wait. Yields: was there one?"""
    asked: list[int] = []
    before = {int(number): signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, _: object) -> None:
        asked.append(number)
        signal.signal(number, before[number])

    for number in before:
        signal.signal(number, stop)
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass
class Progress:
    """How many episodes, or games, have ended, on one line of a terminal, or now and then on a line of its own."""

    stream: TextIO
    clock: Callable[[], float] = time.monotonic
    what: str = "episodes"
    _next: float = field(init=False)
    _width: int = 0

    def __post_init__(self) -> None:
        self._terminal = self.stream.isatty()
        self._every = SHOWN_EVERY if self._terminal else LOGGED_EVERY
        self._next = self.clock() + self._every

    def show(self, ended: int, wanted: int) -> None:
        """Show it, if it is time and agents have shown up; most calls only look at the clock."""
        if self.clock() < self._next or not wanted:
            return
        self._next = self.clock() + self._every
        text = f"{ended} of {wanted} {self.what}"
        if self._terminal:
            print(f"\r{text:<{self._width}}", end="", file=self.stream, flush=True)
            self._width = len(text)
        else:
            print(text, file=self.stream, flush=True)

    def close(self) -> None:
        """Take the line of a terminal away."""
        if self._width:
            print(f"\r{'':<{self._width}}\r", end="", file=self.stream, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
