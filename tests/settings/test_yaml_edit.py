"""A mapping put into a YAML text: what else stands in it stays as it was, to the character."""

import pytest

from losslab.settings import yaml_edit
from losslab.settings.plain_yaml import read_yaml

SEEDS = {"shapes/unet/dice": 4, "shapes/unet/bce": 5}
BLOCK = """\
# all of it
grid:  # what is compared
    losses:
        - dice  # the one
        - bce

    # the last of them
    networks: [unet]   # a network

train:
    epochs: 6
"""


def test_a_new_key_comes_after_the_section_s_last_one_and_all_else_stays() -> None:
    written = "    seeds:\n        shapes/unet/dice: 4\n        shapes/unet/bce: 5\n"
    line = "    networks: [unet]   # a network\n"
    assert yaml_edit.put(BLOCK, "grid", "seeds", SEEDS) == BLOCK.replace(line, line + written)


def test_a_key_that_is_there_has_its_value_replaced() -> None:
    once = yaml_edit.put(BLOCK, "grid", "seeds", {"shapes/unet/dice": 4})
    assert yaml_edit.put(once, "grid", "seeds", SEEDS) == yaml_edit.put(BLOCK, "grid", "seeds", SEEDS)
    flow = BLOCK.replace("    losses:\n", "    seeds: {}  # of its own\n    losses:\n")
    written = "    seeds:\n        shapes/unet/dice: 4\n        shapes/unet/bce: 5  # of its own\n    losses:\n"
    assert yaml_edit.put(flow, "grid", "seeds", SEEDS) == BLOCK.replace("    losses:\n", written)


@pytest.mark.parametrize(
    "text",
    [
        BLOCK.replace("\n", "\r\n"),
        BLOCK.replace("    ", "  "),
        "\ufeff" + BLOCK,
        "train: {epochs: 6}\ngrid: {losses: [dice, bce], networks: [unet]}  # in a line\n",
        "grid: {losses: [dice], seeds: {shapes/unet/dice: 9}, networks: [unet]}",
        "grid:\n  losses: [dice]",
        "grid:\n  losses:\n  - dice\n  - bce\ntrain:\n  epochs: 6\n",
        "grid:\n  seeds:\n    shapes/unet/dice: 3\n  # then\n  losses: [dice]\n",
        'grid: {\n  "losses": ["dice"],\n  }\n',
    ],
    ids=[
        "CRLF",
        "two spaces",
        "byte order mark",
        "flow",
        "flow, there",
        "no end of line",
        "no indent",
        "there",
        "JSON",
    ],
)
def test_however_it_is_written_the_mapping_is_there_and_nothing_else_changed(text: str) -> None:
    edited = yaml_edit.put(text, "grid", "seeds", SEEDS)
    before, after = read_yaml(text), read_yaml(edited)
    assert after["grid"].pop("seeds") == SEEDS
    before["grid"].pop("seeds", None)
    assert after == before
    comments = [line.split("#")[1] for line in text.splitlines() if "#" in line]
    assert [line.split("#")[1] for line in edited.splitlines() if "#" in line] == comments
    assert ("\r\n" in text) == ("\r\n" in edited)
    assert edited.count("\n") - edited.count("\r\n") in (0, edited.count("\n"))


@pytest.mark.parametrize("text", ["a: &a\n  losses: [dice]\ngrid: *a\n", "a: &a {losses: [dice]}\ngrid: *a\n"])
def test_where_something_else_would_change_it_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^grid\.seeds cannot be put there; write it yourself: seeds: \{shapes/unet/"):
        yaml_edit.put(text, "grid", "seeds", SEEDS)
