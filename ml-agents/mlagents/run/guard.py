"""What becomes of a behavior when a number is NaN or infinite: back to its last good state, then it stops or goes on.

Rows of an environment are looked at when they come, before anything is learned from them: nothing has to be taken back.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlagents.collect.behavior import Behavior
from mlagents.collect.collector import Episodes
from mlagents.data.finite import NotFinite, non_finite
from mlagents.data.rows import Rows
from mlagents.envs.finite import ADVICE as ENVIRONMENT_ADVICE
from mlagents.envs.finite import faulty, without_faults
from mlagents.envs.steps import StepBatch
from mlagents.errors import NonFiniteError
from mlagents.run.checkpoints import Checkpoints
from mlagents.run.history import History
from mlagents.run.lastrows import FILE, MOST_ROWS, LastRows, few, few_weights
from mlagents_envs.base_env import ActionTuple

log = logging.getLogger(__name__)
Array = NDArray[Any]
OnNan = Literal["stop", "rollback"]
KEPT_EVERY = 1000  # steps: the last good state is that old at most, or one update where updates are rarer
MOST_ROLLBACKS = 10  # without a new good state in between
MOST_REPORTS = 100  # of one environment that hold faults, without one in between that holds none
NAMED = 3  # agents in a sentence


class Guard:
    """Stands between a run and a behavior that receives, acts and learns.

    In training it keeps the last good state in memory, on the CPU.
    """

    def __init__(
        self, name: str, behavior: Behavior, checkpoints: Checkpoints, *, on_nan: OnNan, writes: bool = True
    ) -> None:
        """writes: False leaves everything in the results folder as it is. Raises NonFiniteError for ruined weights."""
        self.name = name
        self.behavior = behavior
        self.checkpoints = checkpoints
        self.on_nan = on_nan
        self.rollbacks = 0  # in all
        self.left_out = 0  # rows of environments
        self._file = checkpoints.folder / FILE if writes else None
        self._histories: dict[str, History] = {}  # by team
        self._streaks: Counter[int] = Counter()  # by environment: reports with faults, without one in between
        self._good: dict[str, Any] | None = None
        self._since_good = 0  # rollbacks since a state was kept of which something was learned
        self._learned = False  # has it learned anything since the last good state was put back?
        self._next = 0  # step at which a good state is kept again
        if behavior.training:
            try:
                self._keep()
            except NotFinite as error:
                raise NonFiniteError(f"{name}: the weights that training begins with are ruined: {error}") from error

    def receive(self, step: StepBatch, team: str) -> Episodes | None:
        """Give the behavior what a team's agents report, without rows that cannot be learned from.

        Raises NonFiniteError where the behavior is to stop.
        """
        if team not in self._histories:
            self._histories[team] = History(len(step.agent))
        self._histories[team].add(step)
        if step.faults:
            self._leave_out(step, team)
            step = without_faults(step)
        elif self._streaks:
            for environment in np.unique(step.agent >> 32).tolist():
                self._streaks.pop(environment, None)
        try:
            return self.behavior.receive(step, team)
        except NotFinite as error:
            self._go_back(error)
            return None

    def act(self, team: str) -> tuple[ActionTuple, Mapping[str, float | Array]]:
        """Answer the agents of a team that ask; an action that is NaN becomes zeros, and nothing is learned from it.

        Raises NonFiniteError where the behavior is to stop.
        """
        actions, metrics = self.behavior.act(team)
        if not np.isfinite(actions.continuous).all():
            wrong = ~np.isfinite(actions.continuous)
            error = NotFinite("the policy's actions are not finite")
            error.agent = self._histories[team].asking()[wrong.any(1)]
            self._go_back(error)
            self.behavior.drop_answers(error.agent, team)
            actions, metrics = ActionTuple(np.where(wrong, np.float32(0), actions.continuous), actions.discrete), {}
        self._histories[team].answer(actions)
        return actions, metrics

    def learn(self, advice: str = "") -> Mapping[str, Any] | None:
        """Let the behavior learn, and return what to record; None if there was nothing to learn, or it went wrong.

        advice: ends the sentence. Raises NonFiniteError where the behavior is to stop.
        """
        try:
            metrics = self.behavior.learn()
            if metrics is not None:
                self._learned = True
                if self.behavior.step >= self._next:
                    self._keep()
            return metrics
        except NotFinite as error:
            self._go_back(error, advice)
            return None

    def check(self) -> None:
        """Look at everything that a checkpoint would hold; raises NonFiniteError where the behavior is to stop."""
        try:
            self._keep()
        except NotFinite as error:
            self._go_back(error)

    def _keep(self) -> None:
        """Keep this state as the last good one; raises NotFinite if it is none."""
        state = self.behavior.learned_state()
        if (place := non_finite(state)) is not None:
            raise NotFinite(place)
        if self._learned:
            self._since_good = 0
        self._good, self._next = state, self.behavior.step + KEPT_EVERY

    def _go_back(self, error: NotFinite, advice: str = "") -> None:
        """Put the last good state back; raises NonFiniteError where the behavior is to stop."""
        step = self.behavior.step
        sentence = f"{self.name}: learning went to infinity at step {step:,}: {error}{_whose(error.agent)}."
        where = self._write(sentence, *self._learned_from(error))
        if self._good is None:  # it only plays
            raise NonFiniteError(f"{sentence}{where} {self.checkpoints.last_good()}") from error
        self.behavior.load_state_dict(self._good, keep_step=True)
        self.rollbacks += 1
        self._since_good += 1
        self._learned = False
        good = f"its last good state, of step {self.behavior.step:,}"
        limit = self.on_nan == "rollback" and self._since_good > MOST_ROLLBACKS
        if self.on_nan == "stop" or limit:
            often = f" It was put back {MOST_ROLLBACKS} times in a row before." if limit else ""
            end = f"Training ends; {good}, is kept in {self.checkpoints.newest}."
            raise NonFiniteError(f"{sentence}{often} {end}{where} {advice}".rstrip()) from error
        log.warning(
            f"{sentence} It goes back to {good}, and goes on without these rows: rollback {self.rollbacks}, "
            f"{self._since_good} of at most {MOST_ROLLBACKS} in a row.{where}"
        )

    def _leave_out(self, step: StepBatch, team: str) -> None:
        """Close the segments before faulty rows; raises NonFiniteError where the behavior is to stop."""
        faults = step.faults
        more = f", and so in {len(faults) - 1} more rows" if len(faults) > 1 else ""
        sentence = f"{team}, {faults[0]}{more}, at step {self.behavior.step:,}."
        before, self.left_out = self.left_out, self.left_out + len(faults)
        self._streaks.update({fault.environment for fault in faults})
        limit = max(self._streaks.values()) > MOST_REPORTS
        if self.on_nan == "stop" or limit:
            often = f" So did {MOST_REPORTS} reports in a row before." if limit else ""
            where = self._write(sentence, "environment", *self._reported(step, team))
            raise NonFiniteError(f"{sentence}{often} {ENVIRONMENT_ADVICE}{where}")
        self.behavior.leave_out(step, faulty(step), team)
        if before.bit_length() < self.left_out.bit_length():  # at 1, 2, 4, 8 ... rows: there may be very many
            where = self._write(sentence, "environment", *self._reported(step, team))
            log.warning(
                f"{sentence} Training goes on without such rows: {self.left_out} by now. {ENVIRONMENT_ADVICE}{where}"
            )

    def _reported(self, step: StepBatch, team: str) -> tuple[dict[str, Array], list[int]]:
        columns = self._histories[team].columns()
        first = len(columns["tick"]) - len(step.agent)
        return columns, [first + row for row in np.flatnonzero(faulty(step)).tolist()]

    def _learned_from(self, error: NotFinite) -> tuple[str, dict[str, Array], list[int]]:
        """Return what an error's rows are, their columns, and which are wrong; few enough to be kept, if possible."""
        if error.rows is None:
            return "none", {}, []
        wrong = [] if error.wrong is None else error.wrong.tolist()
        rows = error.rows if wrong else self._fewer(error.rows)
        columns = {name: column.detach().cpu().numpy() for name, column in rows.named_columns()}
        return type(rows).__qualname__, columns, wrong

    def _fewer(self, rows: Rows) -> Rows:
        """Return the half of the rows, or the half of that, in which the same is met again, until few are left."""
        state = self.behavior.learned_state()
        while len(rows) > MOST_ROWS:
            half = len(rows) // 2
            found = [part for part in (rows[:half], rows[half:]) if self._is_met(part, state)]
            if not found:
                break
            rows = found[0]
        self.behavior.load_state_dict(state, keep_step=True)
        return rows

    def _is_met(self, rows: Rows, state: dict[str, Any]) -> bool:
        self.behavior.load_state_dict(state, keep_step=True)
        try:
            self.behavior.trainer.learn_again(rows)  # type: ignore[attr-defined]  # a template, if it gives rows
        except NotFinite:
            return True
        except Exception:  # an author's code, which may want as many rows as there were
            log.debug("Rows could not be learned from again:", exc_info=True)
        return False

    def _write(self, sentence: str, table: str, columns: dict[str, Array], wrong: list[int]) -> str:
        """Write the file of rows; return a sentence that says where it is."""
        if self._file is None or not columns:
            return ""
        weights = {} if table == "environment" else few_weights(self.behavior.learned_state())
        about = {"sentence": sentence, "behavior": self.name, "step": self.behavior.step, "table": table,
                 "of": len(next(iter(columns.values())))}  # fmt: skip
        try:
            LastRows(about, few(columns, wrong), weights).write(self._file)
        except OSError as error:
            return f" The rows could not be written to {self._file}: {error}."
        return f" The rows are in {self._file}; `python -m mlagents.run.lastrows` shows them."


def _whose(agent: NDArray[np.int64] | None) -> str:
    """Return, as the end of a sentence, whose rows these are."""
    if agent is None or not len(agent):
        return ""
    each = list(dict.fromkeys(agent.tolist()))
    named = [f"environment {one >> 32}, agent {one & 0xFFFFFFFF}" for one in each[:NAMED]]
    more = f"; and of {len(each) - NAMED} more agents" if len(each) > NAMED else ""
    return f", in rows of {'; '.join(named)}{more}"
