"""Cloners of demonstrations that a test makes."""

import pytest
from cloning import cloner_of, write


@pytest.fixture
def cloner(tmp_path):
    """A function that makes a trainer of these episodes."""

    def make_one(spec, episodes, *, mask=None, **given):
        path = write(tmp_path / f"{len(list(tmp_path.iterdir()))}.demo", spec, episodes, mask)
        return cloner_of(path, spec, **given)

    return make_one
