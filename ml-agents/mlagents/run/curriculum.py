"""Which lesson each environment parameter is in, and when the next one comes."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlagents.envs.parameters import in_words, lesson_values
from mlagents.envs.settings import CompletionCriteria, ParameterSettings
from mlagents.run.lessons import KEY, Standing
from mlagents_envs.samplers import Sampler

SMOOTHING = 0.25  # weight of the last value in a smoothed mean, as Unity's trainers have it
Value = float | Sampler
Note = Callable[[str, Mapping[str, Any]], None]  # takes a parameter and what is to be kept of it
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Changes:
    """What a step of the curriculum changes; nothing where no parameter is in a new lesson."""

    parameters: Mapping[str, Value] = field(default_factory=dict)
    must_reset: bool = False  # do environments begin anew with them?


NONE = Changes()
NO_RATINGS: Mapping[str, float] = {}


class Curriculum:
    """Parameters with their lessons; a parameter with one lesson keeps it.

    A lesson ends when its measure of a behavior is above its threshold: the share of `max_steps` taken, its rating in
    self-play, or the mean return of the last episodes, of which there must be `min_lesson_length`. Returns are
    forgotten when a lesson ends.
    """

    def __init__(
        self, parameters: Mapping[str, ParameterSettings] | None = None, *, seed: int = 0,
        begun: Mapping[str, int] | None = None, note: Note = lambda name, values: None,
    ) -> None:  # fmt: skip
        """seed: of samplers that have none. begun: the lessons that a resumed run was in, by parameter.

        note: is called with the number of a parameter's lesson, and how far its end is.
        """
        self._settings = dict(parameters or {})
        self._values = lesson_values(self._settings, seed)
        self._note = note
        self._lessons = {name: _within(name, (begun or {}).get(name, 0), each) for name, each in self._settings.items()}
        self._smoothed = dict.fromkeys(self._settings, 0.0)
        criteria = [lesson.completion_criteria for each in self._settings.values() for lesson in each.curriculum]
        self._episodes = max([1, *(each.min_lesson_length for each in criteria if each is not None)])
        self._returns: dict[str, deque[float]] = {}  # by behavior: of the last episodes

    @property
    def lessons(self) -> Mapping[str, int]:
        """The number of the lesson that each parameter is in, from 0."""
        return self._lessons

    @property
    def parameters(self) -> dict[str, Value]:
        """The value of each parameter now."""
        return {name: self._values[name][lesson] for name, lesson in self._lessons.items()}

    @property
    def finished(self) -> bool:
        """Is every parameter in its last lesson?"""
        return all(self._criteria(name) is None for name in self._settings)

    def add_returns(self, behavior: str, returns: Iterable[float]) -> None:
        """Count episodes of a behavior that ended."""
        self._returns.setdefault(behavior, deque(maxlen=self._episodes)).extend(returns)

    def advance(self, progress: Mapping[str, float], ratings: Mapping[str, float] = NO_RATINGS) -> Changes:
        """Begin the lessons that are due, each parameter one at most, and return what they change.

        progress: behavior -> share of its max_steps that is taken. ratings: behavior -> its rating in self-play.
        """
        ended: dict[str, CompletionCriteria] = {}
        for name in self._settings:
            criteria = self._criteria(name)
            if criteria is not None and self._is_learnt(name, criteria, progress, ratings):
                ended[name] = criteria
        if not ended:
            return NONE
        for name in ended:
            self._begin_next(name)
        self._returns.clear()
        changed = {name: self._values[name][self._lessons[name]] for name in ended}
        return Changes(changed, must_reset=any(criteria.require_reset for criteria in ended.values()))

    def standings(self, progress: Mapping[str, float], ratings: Mapping[str, float] = NO_RATINGS) -> list[Standing]:
        """Return how far the lesson of each parameter is from its end, and note it; those in their last are left out.

        progress, ratings: as of `advance`, which it leaves as it is.
        """
        found = []
        for name in self._settings:
            if (criteria := self._criteria(name)) is not None:
                found.append(self._standing(name, criteria, progress, ratings))
                self._note(name, {"lesson_num": self._lessons[name], KEY: found[-1].to_json()})
        return found

    def _standing(
        self, name: str, criteria: CompletionCriteria, progress: Mapping[str, float], ratings: Mapping[str, float]
    ) -> Standing:
        lessons, lesson = self._settings[name].curriculum, self._lessons[name]
        episodes = len(self._returns.get(criteria.behavior, ()))
        value = self._measured(criteria, progress, ratings)
        smoothed = criteria.signal_smoothing and criteria.measure == "reward" and episodes >= criteria.min_lesson_length
        return Standing(
            name, lesson, len(lessons), lessons[lesson].name, criteria.behavior, criteria.measure, criteria.threshold,
            self._smoothed[name] if smoothed and value is not None else value, smoothed, episodes,
            criteria.min_lesson_length, criteria.behavior in progress,
        )  # fmt: skip

    def _criteria(self, name: str) -> CompletionCriteria | None:
        """Return when the present lesson of a parameter ends; None if another does not follow."""
        lessons, at = self._settings[name].curriculum, self._lessons[name]
        return lessons[at].completion_criteria if at + 1 < len(lessons) else None

    def _is_learnt(
        self, name: str, criteria: CompletionCriteria, progress: Mapping[str, float], ratings: Mapping[str, float]
    ) -> bool:
        value = self._measured(criteria, progress, ratings)
        if value is None or len(self._returns.get(criteria.behavior, ())) < criteria.min_lesson_length:
            return False
        if criteria.measure == "reward" and criteria.signal_smoothing:
            value = self._smoothed[name] = SMOOTHING * self._smoothed[name] + (1 - SMOOTHING) * value
        return value > criteria.threshold

    def _measured(
        self, criteria: CompletionCriteria, progress: Mapping[str, float], ratings: Mapping[str, float]
    ) -> float | None:
        """Return what is compared with the threshold, before it is smoothed; None where there is nothing yet."""
        if criteria.behavior not in progress:
            return None
        if criteria.measure == "progress":
            return progress[criteria.behavior]
        if criteria.measure == "Elo":
            return ratings.get(criteria.behavior)
        returns = self._returns.get(criteria.behavior, ())
        return sum(returns) / len(returns) if returns else None

    def _begin_next(self, name: str) -> None:
        self._lessons[name] += 1
        self._smoothed[name] = 0.0
        lesson = self._lessons[name]
        title, value = self._settings[name].curriculum[lesson].name, in_words(self._values[name][lesson])
        log.info(f"Parameter '{name}' is in lesson '{title}' and has value '{value}'.")
        self._note(name, {"lesson_num": lesson})


def _within(name: str, lesson: int, parameter: ParameterSettings) -> int:
    """Return the lesson that a parameter begins in; the last one for a number beyond, with a warning."""
    last = len(parameter.curriculum) - 1
    if not 0 <= lesson <= last:
        log.warning(f"{name} was in lesson {lesson}, but there are {last + 1} now; it goes on with the last one.")
        return last
    return lesson
