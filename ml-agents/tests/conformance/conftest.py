"""Trainers with a fault of one's own making."""

import pytest

from mlagents.conformance import NotApplicable
from mlagents.conformance.check import Check
from mlagents.conformance.subject import Subject
from mlagents.plugins.catalog import Kind


@pytest.fixture
def ask():
    """A function that asks one question of a trainer class and returns what is worth knowing."""

    def asked(trainer, question, space, seed=0):
        subject = Subject(Kind(trainer.__name__, "a test", trainer.Settings, lambda: trainer), seed=seed)
        try:
            return Check(question, subject, space)()
        except NotApplicable as error:
            raise AssertionError("the question was not asked") from error

    return asked
