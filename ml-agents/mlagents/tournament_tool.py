"""`mlagents-tournament`: lets trained models play each other, and prints who is better."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlagents import __version__
from mlagents.cli import add_flags, by_section
from mlagents_envs.output import command

MISTAKE, FAILED = 2, 1  # exit status, as that of mlagents-learn
EPISODES = 100
EPILOG = """examples:
  mlagents-tournament first second@best random --env builtin:SoccerTwos
      two runs, of one its best checkpoint, and random play
  mlagents-tournament SoccerTwos.onnx results/first/SoccerTwos.onnx --env builds/Soccer --episodes 400 --json

Every two play --episodes games, half of them on each side. The first games that begin count, and all of those are
played to their end. The last reward of a game says who won; one that a limit of steps ends is drawn. Win rates have
Wilson's interval; ratings are fitted to all games at once (Bradley-Terry), and 400 points are odds of ten to one. The
exit status is 0, 2 for mistakes, 1 if the environment fails, and 130 after Ctrl-C, which prints what has ended by then.
"""


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
        return _tournament(own, by_section(given))
    except (SettingsError, RunError, UnityPolicyException) as error:
        print(error, file=sys.stderr)
        return MISTAKE
    except UnityException as error:
        print(error, file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("Stopped before a game was played.", file=sys.stderr)
        return 128 + signal.SIGINT


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; a flag of the environment that is not given leaves no trace, so that the run's holds."""
    parser = argparse.ArgumentParser(
        prog="mlagents-tournament",
        description="Let trained models of a game of two teams play each other.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument(
        "entrants", nargs="+", metavar="RUN-ID[@best|@STEP]|FILE.onnx|FOLDER|random",
        help="who takes part: runs, models, folders with NAME.onnx for each behavior, random play",
    )  # fmt: skip
    parser.add_argument(
        "--episodes", type=int, default=EPISODES, metavar="N", help=f"games of every two ({EPISODES})"
    )
    parser.add_argument("--results-dir", type=Path, default="results", metavar="DIR", help="the folder of all runs")
    actions = parser.add_mutually_exclusive_group()
    actions.add_argument(
        "--stochastic", dest="deterministic", action="store_false", default=False,
        help="draw actions, as in training (default)",
    )  # fmt: skip
    actions.add_argument("--deterministic", action="store_true", help="take the most probable actions")
    parser.add_argument("--max-length", type=int, metavar="N", help="decisions after which a game is drawn (2000)")
    parser.add_argument("--json", action="store_true", default=False, help="print JSON")
    add_flags(parser, ("environment", "Unity's engine"), without=("--watch", "--seed", "--num-envs",
              "--max-lifetime-restarts", "--restarts-rate-limit-n", "--restarts-rate-limit-period-s"))  # fmt: skip
    parser.add_argument(
        "--seed", dest="env_settings.seed", metavar="N", help="of the environment, and of actions (10000)"
    )
    return parser


def _tournament(own: Mapping[str, Any], flags: Mapping[str, Mapping[str, Any]]) -> int:
    from mlagents.envs.apart import pool_apart
    from mlagents.envs.registry import env_maker
    from mlagents.errors import RunError
    from mlagents.evaluation.models import RunModels
    from mlagents.evaluation.settings import MAX_LENGTH
    from mlagents.evaluation_tool import Progress, interruptible
    from mlagents.run.console import set_up_logging
    from mlagents.run.curriculum import Curriculum
    from mlagents.tournament.entrants import find_entrants
    from mlagents.tournament.round_robin import round_robin
    from mlagents.training.evaluate import read_options

    set_up_logging(None, debug=False, stream=sys.stderr)
    if own["episodes"] < 1:
        raise RunError(f"--episodes: is {own['episodes']}; it must be at least 1")
    entrants = find_entrants(own["entrants"], results_dir=own["results_dir"], deterministic=own["deterministic"])
    run = next((entrant.models for entrant in entrants if isinstance(entrant.models, RunModels)), None)
    options = read_options(run, flags)
    settings, given = options.env_settings, options.environment_parameters or {}
    lessons = run.lessons() if run is not None else {}
    begun = {name: lessons.get(name, 0) for name in given}
    parameters = Curriculum(given, seed=settings.seed, begun=begun).parameters
    make = env_maker(settings, options.engine_settings, seed=settings.seed, logs=None)
    pool, progress = pool_apart(make), Progress(sys.stderr, what="games")
    try:
        with interruptible() as stopped:
            standings = round_robin(
                pool, entrants, own["episodes"], parameters=parameters, seed=settings.seed,
                max_length=own.get("max_length", MAX_LENGTH), stopped=stopped, progress=progress.show,
            )  # fmt: skip
    finally:
        progress.close()
        pool.close()
    _print(standings, own, {"env": settings.env_path, "seed": settings.seed, "episodes": own["episodes"],
                            "deterministic": own["deterministic"]})  # fmt: skip
    if standings.complete:
        return 0
    print("Stopped: games are missing.", file=sys.stderr)
    return 128 + signal.SIGINT


def _print(standings: Any, own: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    from mlagents.tournament.report import document, lines
    from mlagents_envs.printable import printable

    if own["json"]:
        print(document(standings, about))
        return
    how = "the most probable actions" if own["deterministic"] else "actions that are drawn"
    where = printable(about["env"] or "the Editor")
    print(f"{about['episodes']} games of every two in {where}, seed {about['seed']}, {how}")
    for line in lines(standings):
        print(line)


if __name__ == "__main__":
    raise SystemExit(main())
