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
    ("title", "table", "kind", "hooks"),
    [
        ("What every trainer has", "hook of both templates", api.OnPolicyTrainer, 5),
        ("What every trainer has", "hook of both templates", api.OffPolicyTrainer, 5),
        ("What every trainer has", "method of both templates", api.OnPolicyTrainer, 4),
        ("OnPolicyTrainer", "", api.OnPolicyTrainer, 14),
        ("OffPolicyTrainer", "", api.OffPolicyTrainer, 9),
        ("Policies", "method of `Policy` and `Actor`", api.Actor, 10),
        ("Policies", "method of `Distribution`", api.Distribution, 9),
        ("Reward signals", "", api.RewardSignal, 3),
    ],
)
def test_every_hook_of_the_reference_exists_with_this_signature(title, table, kind, hooks):
    text = section(title).replace(r"\|", "|")
    if table:
        text = text[text.index(f"| {table} |") :].partition("\n\n")[0]
    shown = re.findall(r"^\| `(\w+)(\(.*?\) -> .*?)` \|", text, re.MULTILINE)
    assert len(shown) == hooks
    for name, signature in shown:
        real = str(inspect.signature(getattr(kind, name)))
        assert signature == re.sub("'|self, |(?<=\\()self(?=\\))", "", real), name


RUNS = {"receive", "close", "close_groups", "forget", "check_checkpoints", "check_parts", "check_weights", "named_networks", "rows_of",
        "learned_state", "learn_again"}  # what a run calls, and nobody else


@pytest.mark.parametrize("kind", [api.OnPolicyTrainer, api.OffPolicyTrainer, api.Policy, api.Actor, api.Distribution,
                                  api.RewardSignal])  # fmt: skip
def test_every_public_method_is_in_the_reference(kind):
    public = {name for base in kind.__mro__ if base.__module__.startswith("mlagents") for name, value in
              vars(base).items() if not name.startswith("_") and callable(getattr(kind, name))}  # fmt: skip
    assert [name for name in sorted(public - RUNS) if not re.search(rf"`(\w+\.)?{name}\b", TEXT)] == []


@pytest.mark.parametrize(
    "table",
    [api.TrainerSetup, api.Batch, api.Segments, api.SequenceBatch, api.Experience, api.PolicyInput, api.PolicyOutput,
     api.Actions, api.Capabilities, api.Schedule, api.SignalSetup],
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
