"""`mlagents-learn`: reads what it is asked, builds the run, and ends it cleanly."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from mlagents.cli import asked_for_schema, asked_to_explain, parse_command_line
from mlagents.settings.mistakes import SettingsError
from mlagents_envs import system_errors
from mlagents_envs.output import command

if TYPE_CHECKING:
    from mlagents.run.outcome import BehaviorOutcome, Outcome
    from mlagents.run.session import Session
    from mlagents.settings.options import RunOptions

MISTAKE = 2  # exit status for what the user can mend
FAILED = 1  # and for what the user cannot
NOTHING = "Stopped before training began; nothing was written."

log = logging.getLogger(__name__)


class StoppedAtOnce(Exception):
    """A second Ctrl-C did not wait for the end that the first had asked for."""


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; torch is loaded only once the settings are valid."""
    one_thread_each()
    try:
        plugins = asked_for_schema(argv)
        if plugins is not None:
            return print_schema(plugins)
        if (asked := asked_to_explain(argv)) is not None:
            return explain_lessons(*asked)
        try:
            options, warnings = parse_command_line(argv)
        except SettingsError as error:
            warn(error.warnings)
            print(error, file=sys.stderr)
            return MISTAKE
        warn(warnings)
        try:
            return run_cli(options)
        finally:
            if warnings:
                print("Warnings from the start of the run:", file=sys.stderr)
                warn(warnings)
    except KeyboardInterrupt:
        print(NOTHING, file=sys.stderr)
        return 128 + signal.SIGINT
    except OSError as error:
        print(system_errors.sentence(error), file=sys.stderr)
        return MISTAKE


def warn(warnings: Sequence[str]) -> None:
    """Print warnings about the settings: at the start of a run and at its end, since a run scrolls past."""
    for warning in warnings:
        print(f"[WARNING] {warning}", file=sys.stderr, flush=True)


def explain_lessons(results_dir: str, run_id: str) -> int:
    """Print what the lessons of a run wait for; return the exit status."""
    from mlagents.errors import RunError
    from mlagents.run.lessons import explain

    try:
        for sentence in explain(Path(results_dir), run_id):
            print(sentence)
    except RunError as error:
        print(error, file=sys.stderr)
        return MISTAKE
    return 0


def print_schema(plugins: Sequence[str]) -> int:
    """Print the schema of a configuration that may name the trainers of these plug-ins; return the exit status."""
    from mlagents.plugins.catalog import Catalog
    from mlagents.settings.json_schema import json_schema

    catalog = Catalog(plugins)
    with redirect_stdout(sys.stderr):  # what a plug-in prints while it is loaded is no part of the schema
        schema, broken = json_schema(catalog), [str(error) for error in catalog.broken_files()]
    for sentence in broken:
        print(f"--plugin: {sentence}", file=sys.stderr)
    if broken:
        return MISTAKE
    if "$comment" in schema:
        print(f"[WARNING] {schema['$comment']}", file=sys.stderr)
    print(json.dumps(schema, indent=2))
    return 0


def run_cli(options: RunOptions) -> int:
    """Train or play as the options say, and return the exit status; what cannot be done is printed first."""
    from mlagents.settings.checks import impossible

    one_thread_each()
    sentences = impossible(options)
    for sentence in sentences:
        print(sentence, file=sys.stderr)
    return MISTAKE if sentences else _train(options)


def _train(options: RunOptions) -> int:
    from mlagents.algorithms.author import TrainerError  # loads torch
    from mlagents.build import PROTOCOL, VERSION, make_session, with_seed
    from mlagents.envs.pool import EnvLost
    from mlagents.errors import RunError
    from mlagents.run.console import Display, set_up_logging
    from mlagents_envs.exception import UnityException

    display = Display()
    set_up_logging(display.console, debug=options.debug)
    import torch

    print(f" Version information:\n  ml-agents: {VERSION},\n  ml-agents-envs: {VERSION},\n"
          f"  Communicator API: {PROTOCOL},\n  PyTorch: {torch.__version__}")  # fmt: skip
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    options = with_seed(options)
    torch.manual_seed(options.env_settings.seed)  # for plug-ins that draw from torch's own generator
    try:
        session = make_session(options, display=display)
        with stopping(session):
            outcome = session.run()
        farewell(outcome, train=not options.checkpoint_settings.inference)
    except StoppedAtOnce as stop:
        print(stop, file=sys.stderr)
        return 128 + signal.SIGINT
    except EnvLost as error:
        log.error(str(error))
        return FAILED
    except (RunError, UnityException) as error:
        log.error(str(error))
        return MISTAKE if isinstance(error, RunError) else FAILED
    except TrainerError as error:
        log.error(str(error))
        log.debug("The traceback:", exc_info=True)
        return MISTAKE
    except OSError as error:
        log.error(system_errors.sentence(error))
        return MISTAKE
    except MemoryError as error:
        log.error(f"there is no memory left ({str(error)[:200]}); try a smaller buffer_size, network or --num-envs")
        return MISTAKE
    return 0


def farewell(outcome: Outcome, *, train: bool) -> None:
    """Print why the run ended, what the agents now score, and where everything lies."""
    from mlagents_envs.printable import printable

    if outcome.why:
        log.info(f"{outcome.why} {'Training' if train else 'Playing'} ends.")
    if not outcome.behaviors:
        print(NOTHING)
        return
    for behavior in outcome.behaviors.values():
        name = printable(behavior.name)
        if train and behavior.reached is not None:
            print(f"{name} has reached its stop_when.reward with a mean reward of {behavior.reached:.3f}.")
        elif train and behavior.finished and behavior.step <= behavior.max_steps:
            print(f"{name} ended before its max_steps of {behavior.max_steps:,}: its held-out loss falls no more.")
        elif train and behavior.finished:
            print(f"{name} has taken its max_steps of {behavior.max_steps:,}.")
        elif train:
            print(f"{name} was stopped before its max_steps of {behavior.max_steps:,}; --resume goes on.")
        print(f"{name}: {score(behavior)}, after {behavior.step:,} steps.")
        model = behavior.model
        print("  No model was written: the run played only." if model is None else f"  The model is {model}.")
        if behavior.best is not None:
            print(f"  What was best in its evaluations is {behavior.best}, and the model beside it.")
    print(f"  See its curves with `tensorboard --logdir {outcome.folder}`; its settings are in {outcome.settings}.")


def score(behavior: BehaviorOutcome) -> str:
    """Return what the agents score, over the last episodes and those of the last summary, or how well they imitate."""
    summary, fit = behavior.last_summary, behavior.imitation
    if fit is not None:
        text = f"loss {fit.loss:.3f}"
        if fit.held_out_loss is None:
            return text
        return f"{text}, held-out loss {fit.held_out_loss:.3f} at step {fit.held_out_step:,}, whose weights are kept"
    if behavior.mean_return is None:
        return "no episode ended"
    text = f"mean reward {behavior.mean_return:.3f} over the last {behavior.episodes} episodes"
    return text if summary is None else f"{text} ({summary.mean:.3f} over the {summary.num} of the last summary)"


@contextmanager
def stopping(session: Session) -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and a closed terminal end the loop after the present tick; a second one does not wait."""

    def stop(number: int, _: object) -> None:
        if session.begun:
            log.info("Learning was interrupted. Please wait while the graph is generated.")
        session.stop()
        signal.signal(number, hurry if number == signal.SIGINT else signal.SIG_DFL)

    def hurry(*_: object) -> None:
        signal.signal(signal.SIGINT, lambda *_: os._exit(128 + signal.SIGINT))  # a third one waits for nothing at all
        raise StoppedAtOnce(f"Stopped at once; what was saved before lies in {session.results.root}.")

    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup's wish
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def one_thread_each() -> None:
    """Let numerical libraries use one thread unless the user has chosen: small networks are slower on more."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


if __name__ == "__main__":
    raise SystemExit(main())
