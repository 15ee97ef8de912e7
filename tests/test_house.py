"""The house keeps its measure: small rooms, short files, nothing behind a door but what the door says."""

import ast
from pathlib import Path

import pytest
from projects import ROOT

SOURCES = ROOT / "src/losslab"
ROOMS = sorted({path.parent for path in SOURCES.rglob("*.py")})
FILES = sorted(path for root in (SOURCES, ROOT / "pipeline") for path in root.rglob("*.py"))
WITH_CODE = {SOURCES, *(SOURCES / room for room in ("losses", "networks", "data", "evaluation/extra"))}
"""The front, which holds the version, and the registries of kinds."""


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("room", ROOMS, ids=named)
def test_no_room_has_more_than_twelve_things(room: Path) -> None:
    assert len([path for path in room.iterdir() if not path.name.startswith("__")]) <= 12


@pytest.mark.parametrize("file", FILES, ids=named)
def test_no_file_has_more_than_300_lines(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 300


@pytest.mark.parametrize("room", ROOMS, ids=named)
def test_every_room_says_at_its_door_what_it_is_for(room: Path) -> None:
    door = ast.parse((room / "__init__.py").read_text(encoding="utf-8"))
    assert ast.get_docstring(door)
    if room not in WITH_CODE:
        assert len(door.body) == 1, "a docstring and nothing else"
