"""An entry of params.yaml as text, and put among the others of the file, whose other lines stay as they are."""

import re
from pathlib import Path
from typing import Any

import yaml

from losslab.errors import InputError
from losslab.results.files import atomic_file
from losslab.settings.plain_yaml import read_yaml


def name_of(path: Path) -> str:
    """What the entry is called: the folder's or the file's name, of letters, digits and underscores."""
    return re.sub(r"\W+", "_", path.resolve().name.split(".")[0], flags=re.ASCII).strip("_") or "mine"


def text(name: str, entry: dict[str, Any]) -> str:
    """The lines of an entry under `datasets`."""
    lines = yaml.safe_dump({name: entry}, sort_keys=False, allow_unicode=True, width=1000).splitlines()
    return "".join(f"  {line}\n" for line in lines)


def insert(params: Path, name: str, entry: dict[str, Any]) -> None:
    """Put an entry first under `datasets`.

    Raises:
        InputError: there is no such file, it has no block `datasets`, or it has an entry of that name.
    """
    try:
        content = params.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{params}: not found; run this where it is, or leave --write out") from None
    start = re.search(r"^datasets:[ \t]*(#.*)?\n", content, re.MULTILINE)
    if start is None:
        raise InputError(f"{params}: has no block `datasets:`; put the entry there by hand")
    if name in (read_yaml(content).get("datasets") or {}):
        raise InputError(f"{params}: datasets.{name} is there already; give another name by --name")
    changed = content[: start.end()] + text(name, entry) + content[start.end() :]
    if read_yaml(changed)["datasets"].get(name) != entry:
        raise InputError(f"{params}: the entry cannot be put under `datasets:`; put it there by hand")
    with atomic_file(params) as file:
        file.write_text(changed, encoding="utf-8")
