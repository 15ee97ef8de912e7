"""CSV tables: one writer, one reader, for everything that the stages leave as rows."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from losslab.errors import InputError
from losslab.results.files import atomic_file


def write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a header and rows, whole or not at all."""
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def read(path: Path, columns: Sequence[str]) -> list[list[str]]:
    """The rows, as text.

    Raises:
        InputError: the file is missing, or its header or a row is not of these columns.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = list(csv.reader(file)) or [[]]
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run `dvc repro`") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise damaged(path, error) from None
    if header != list(columns):
        raise InputError(f"{path}: not a table of {', '.join(columns)}; remove it and run `dvc repro`")
    if any(len(row) != len(columns) for row in rows):
        raise damaged(path, "a row has too few or too many values")
    return rows


def damaged(path: Path, reason: object) -> InputError:
    """What to say of a table whose content cannot be right."""
    return InputError(f"{path}: damaged ({reason}); remove it and run `dvc repro`")
