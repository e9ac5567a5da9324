"""The reference of trainers names what there is, with the signatures that it has, and links lead somewhere."""

import inspect
import re
from dataclasses import fields
from pathlib import Path

import pytest

from mlagents import api

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "trainers.md").read_text(encoding="utf-8")


def section(title):
    (found,) = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    return found


def test_every_name_of_the_api_is_in_the_reference():
    assert [name for name in api.__all__ if not re.search(rf"\b{name}\b", TEXT)] == []


@pytest.mark.parametrize(
    ("title", "kind", "hooks"),
    [("OnPolicyTrainer", api.OnPolicyTrainer, 9), ("OffPolicyTrainer", api.OffPolicyTrainer, 9),
     ("Policies and networks", api.Actor, 5), ("Reward signals", api.RewardSignal, 2)],
)  # fmt: skip
def test_every_hook_of_the_reference_exists_with_this_signature(title, kind, hooks):
    told = re.findall(r"^\| `(\w+)(\(.*?\) -> .*?)` \|", section(title).replace(r"\|", "|"), re.MULTILINE)
    assert len(told) == hooks
    for name, signature in told:
        real = str(inspect.signature(getattr(kind, name)))
        assert signature == re.sub("'|self, |(?<=\\()self(?=\\))", "", real), name


@pytest.mark.parametrize(
    "table",
    [api.TrainerSetup, api.Batch, api.Segments, api.Transition, api.Experience, api.PolicyInput, api.PolicyOutput,
     api.Actions, api.Capabilities, api.Schedule],
)  # fmt: skip
def test_every_column_is_in_the_reference(table):
    words = set(re.findall(r"\w+", " ".join(re.findall(r"`[^`\n]+`", TEXT))))
    assert {column.name for column in fields(table)} <= words


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page):
    links = re.findall(r"\]\((?!http)([^)#]*)(?:#([^)]+))?\)", page.read_text(encoding="utf-8"))
    for file, anchor in links:
        target = page.parent / file if file else page
        assert target.exists(), file
        if anchor:
            titles = re.findall("^#+ (.*)", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]
