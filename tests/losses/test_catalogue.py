"""The list of kinds and the page, which come from docstrings and signatures."""

import doctest
from dataclasses import fields
from pathlib import Path

import pytest

from losslab import losses
from losslab.losses import KINDS, registry
from losslab.losses.catalogue import SECTIONS, Entry, cost_of, describe, entries, page

ROOT = Path(__file__).parents[2]


def test_the_example_of_build_is_true() -> None:
    done = doctest.testmod(losses)
    assert done.attempted > 0
    assert done.failed == 0


def test_the_page_is_current() -> None:
    text = (ROOT / "docs/losses.md").read_text(encoding="utf-8")
    assert text == page(cost_of(text)), "run `python docs/losses.py`"


def test_the_page_has_the_cost_of_a_step_of_every_kind() -> None:
    cost = cost_of((ROOT / "docs/losses.md").read_text(encoding="utf-8"))
    rows = [line.split("|")[1:4] for line in cost.splitlines() if line.startswith("| `")]
    assert [name.strip(" `") for name, _, _ in rows] == sorted(KINDS.keys() - {"bce"}), "run docs/losses.py --time"
    assert all(float(ratio) > 0 for _, ratio, _ in rows)
    with_maps = {name.strip(" `") for name, _, ratio in rows if ratio.strip()}
    assert with_maps == {kind for kind in KINDS if registry.resolve(kind).maps_of and kind != "sum"}


@pytest.mark.parametrize("entry", list(entries()), ids=lambda entry: entry.kind)
def test_every_docstring_has_formula_shapes_convention_use_and_reference(entry: Entry) -> None:
    assert "L = " in entry.formula
    assert list(entry.sections) == list(SECTIONS)


def test_describe_lists_every_kind_with_all_its_options() -> None:
    text = describe()
    for kind in KINDS:
        part = f"\n\n{text}".split(f"\n\n{kind}: ", 1)[1].split("\n\n")[0]
        assert "reference: " in part
        for field in fields(registry.resolve(kind)):
            assert (f"    {field.name}: " in part) == (field.name not in registry.given)


def test_describe_shows_defaults_and_what_an_option_may_be() -> None:
    text = describe()
    assert "    smooth: 1  (number ≥ 0)" in text
    assert "    reduce: batch  (sample, batch)" in text
    assert "    alpha: 0.25  (number ≥ 0 and ≤ 1, null)" in text
    assert "    pos_weight: none  (none, balanced, number > 0, list of C numbers > 0)" in text
    assert "    labels: class_values  (class_values, binary, 255)" in text
    assert "    terms: required  (list of {loss, weight})" in text
