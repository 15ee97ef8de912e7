"""How a command ends when something outside of it does."""

import subprocess
import sys

import pytest

from losslab.errors import InputError, exit_on_error


def test_a_reader_who_has_enough_is_no_error() -> None:
    command = f"{sys.executable} -m losslab losses | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=100)
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_nothing_in_an_error_is_obeyed_by_the_terminal() -> None:
    """Names come from strangers: colours, a cleared screen, text from right to left."""

    def fail() -> None:
        raise InputError("山: \x1b[2J \u202e \udcff\nthe next line")

    with pytest.raises(SystemExit, match=r"^error: 山: \\x1b\[2J \\u202e \\udcff\nthe next line$"):
        exit_on_error(fail)
