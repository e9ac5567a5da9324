"""The command line of `mlagents-learn`. Importing this loads nothing but the standard library, so --help is quick."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlagents import __version__

if TYPE_CHECKING:
    from mlagents.settings.options import RunOptions

EXAMPLES = """examples:
  mlagents-learn config/ppo/3DBall.yaml --env builtin:3DBall --run-id first
      train in an example environment that needs no Unity
  mlagents-learn config/ppo/3DBall.yaml --env builtin:3DBall --run-id first --resume
      go on where that run stood
  tensorboard --logdir results
      see the learning curves
  mlagents-learn --schema > mlagents.schema.json
      let an editor complete, explain and check CONFIG.yaml, once the file begins with the line
      # yaml-language-server: $schema=mlagents.schema.json
"""

Flag = tuple[str, str, dict[str, Any], str]  # flag, section, arguments of argparse, help

_GROUPS: dict[str, list[Flag]] = {
    "environment": [
        ("--env", "env_settings.env_path", {"metavar": "PATH"},
         "a Unity build, builtin:NAME for an example environment, gym:ID or pettingzoo:MODULE; "
         "without it, the Unity Editor is waited for, unless demonstrations are all that is learned from"),
        ("--env-args", "env_settings.env_args", {"nargs": argparse.REMAINDER},
         "arguments for the build; everything that follows is one, so give this flag last"),
        ("--num-envs", "env_settings.num_envs", {"metavar": "N"}, "environments that run side by side"),
        ("--num-areas", "env_settings.num_areas", {"metavar": "N"}, "copies of the training area in each environment"),
        ("--base-port", "env_settings.base_port", {"metavar": "PORT"},
         "port of the first build; without it, each gets the next free one from 5005 on"),
        ("--listen", "env_settings.listen", {"metavar": "ADDRESS"},
         "where builds connect; 0.0.0.0 lets any machine of the network"),
        ("--max-message-mib", "env_settings.max_message_mib", {"metavar": "MIB"}, "longest message of a build"),
        ("--timeout-wait", "env_settings.timeout_wait", {"metavar": "SECONDS"}, "how long to wait for a build"),
        ("--seed", "env_settings.seed", {"metavar": "N"}, "of every random number; -1 draws one"),
        ("--max-lifetime-restarts", "env_settings.max_lifetime_restarts", {"metavar": "N"},
         "how often a build may be restarted; -1 without limit"),
        ("--restarts-rate-limit-n", "env_settings.restarts_rate_limit_n", {"metavar": "N"},
         "how often within the period; -1 without limit"),
        ("--restarts-rate-limit-period-s", "env_settings.restarts_rate_limit_period_s", {"metavar": "SECONDS"},
         "the period"),
        ("--watch", "env_settings.watch", {"on": True}, "show an example environment in the browser while it trains"),
    ],
    "results": [
        ("--run-id", "checkpoint_settings.run_id", {"metavar": "ID"}, "the run's name, and that of its folder"),
        ("--results-dir", "checkpoint_settings.results_dir", {"metavar": "DIR"}, "the folder of all runs"),
        ("--resume", "checkpoint_settings.resume", {"on": True}, "go on where the run of this name stood"),
        ("--force", "checkpoint_settings.force", {"on": True}, "begin anew although there is a run of this name"),
        ("--initialize-from", "checkpoint_settings.initialize_from", {"metavar": "ID"},
         "begin with the weights of another run"),
        ("--inference", "checkpoint_settings.inference", {"on": True},
         "play without learning, and change nothing of the run; with --initialize-from, in a folder of its own"),
        ("--episodes", "checkpoint_settings.episodes", {"metavar": "N"}, "with --inference: end after N episodes"),
        ("--load", "checkpoint_settings.load_model", {"on": True}, ""),
        ("--train", "checkpoint_settings.train_model", {"on": True}, ""),
    ],
    "networks": [
        ("--torch-device", "torch_settings.device", {"metavar": "DEVICE"}, "cpu, cuda, or cuda:N"),
        ("--deterministic", "network_settings.deterministic", {"on": True}, "always take the most probable action"),
        ("--torch", "removed.torch", {"on": True}, ""),
        ("--tensorflow", "removed.tensorflow", {"on": True}, ""),
    ],
    "Unity's engine": [
        ("--width", "engine_settings.width", {"metavar": "PIXELS"}, "of the window"),
        ("--height", "engine_settings.height", {"metavar": "PIXELS"}, "of the window"),
        ("--quality-level", "engine_settings.quality_level", {"metavar": "N"}, "Unity's quality level"),
        ("--time-scale", "engine_settings.time_scale", {"metavar": "X"}, "how much faster than the clock"),
        ("--target-frame-rate", "engine_settings.target_frame_rate", {"metavar": "N"}, "frames a second; -1 no limit"),
        ("--capture-frame-rate", "engine_settings.capture_frame_rate", {"metavar": "N"},
         "frames a second of simulated time"),
        ("--no-graphics", "engine_settings.no_graphics", {"on": True}, "run without a window"),
        ("--no-graphics-monitor", "engine_settings.no_graphics_monitor", {"on": True},
         "only the first build has a window"),
    ],
}  # fmt: skip


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; a flag that is not given leaves no trace, so that the file can say it."""
    parser = argparse.ArgumentParser(
        prog="mlagents-learn",
        description="Train agents in a Unity environment.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("trainer_config_path", nargs="?", metavar="CONFIG.yaml", help="how each behavior is trained")
    parser.add_argument("--debug", dest="debug", action="store_true", help="say more")
    parser.add_argument(
        "--plugin", dest="plugins", action="append", metavar="FILE.py",
        help="a file or module whose trainers CONFIG.yaml may name; may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--schema", dest="schema", action="store_true",
        help="print what CONFIG.yaml may say, plug-ins included, as a JSON Schema for editors, and end",
    )  # fmt: skip
    parser.add_argument(
        "--explain-lessons", dest="explain_lessons", metavar="RUN-ID",
        help="say what the lessons of a run wait for, also while it trains, and end",
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    add_flags(parser, _GROUPS)
    return parser


def add_flags(parser: argparse.ArgumentParser, titles: Iterable[str], *, without: Collection[str] = ()) -> None:
    """Add groups of flags by their titles; their values go under `section.key`, and leave no trace if not given.

    without: flags that are left out.
    """
    for title in titles:
        group = parser.add_argument_group(title)
        for flag, where, options, text in _GROUPS[title]:
            if flag not in without:
                on = {"action": "store_true"} if options.get("on") else options
                group.add_argument(flag, dest=where, help=text or argparse.SUPPRESS, **on)


def by_section(given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the values of flags, `section.key` -> value, as section -> key -> value."""
    flags: dict[str, dict[str, Any]] = {}
    for where, value in given.items():
        section, _, key = where.rpartition(".")
        flags.setdefault(section, {})[key] = value
    return flags


def asked_for_schema(argv: Sequence[str] | None = None) -> list[str] | None:
    """Return the plug-ins whose trainers a schema is asked for with, or None if none is asked for."""
    given = vars(make_parser().parse_args(argv))
    plugins: list[str] = given.get("plugins", [])
    return plugins if "schema" in given else None


def asked_to_explain(argv: Sequence[str] | None = None) -> tuple[str, str] | None:
    """Return the folder of all runs and the run whose lessons are to be explained, or None if none are."""
    given = vars(make_parser().parse_args(argv))
    if "explain_lessons" not in given:
        return None
    return given.get("checkpoint_settings.results_dir", "results"), given["explain_lessons"]


def parse_command_line(argv: Sequence[str] | None = None) -> tuple[RunOptions, list[str]]:
    """Return the run options that flags over file over defaults give, and warnings.

    Raises SettingsError with every mistake; argparse itself ends the process with status 2 for an unknown flag.
    """
    given = vars(make_parser().parse_args(argv))
    file = given.pop("trainer_config_path", None)
    flags = by_section(given)
    warnings = [f"--{flag} has no effect any more" for flag in flags.pop("removed", {})]
    from mlagents.settings.reading import load  # here, so that --help needs no pydantic

    options, more = load(file, flags)
    if file is None and not options.behaviors:
        warnings.append("no CONFIG.yaml is given: every behavior is trained by PPO with built-in defaults")
    return _arbitrated(options, flags.get("checkpoint_settings", {}), warnings + more)


def _arbitrated(options: RunOptions, flags: dict[str, Any], warnings: list[str]) -> tuple[RunOptions, list[str]]:
    """Settle what cannot both hold: a run resumes, begins anew, or begins with another's weights. Flags win."""
    given = options.checkpoint_settings
    change: dict[str, Any] = {}
    resume, asked_to_resume = given.resume or given.load_model, "resume" in flags or "load_model" in flags
    if given.load_model:
        warnings.append("--load is deprecated: write --resume")
        change["resume"] = True
    if given.train_model:
        warnings.append("--train has no effect: training is what happens without --inference")
    if resume and given.force:
        if "force" in flags and not asked_to_resume:
            warnings.append("--force wins over resume in the file")
            change.update(resume=False, load_model=False)
            resume = False
        else:
            warnings.append("resume wins over force: nothing is overwritten")
            change["force"] = False
    if resume and given.initialize_from is not None:
        if "initialize_from" in flags and not asked_to_resume:
            warnings.append("--initialize-from wins over resume in the file")
            change.update(resume=False, load_model=False)
        else:
            warnings.append("resume wins over initialize_from")
            change["initialize_from"] = None
    if given.episodes and not given.inference:
        warnings.append("--episodes has no effect without --inference")
    if not change:
        return options, warnings
    return options.model_copy(update={"checkpoint_settings": given.model_copy(update=change)}), warnings
