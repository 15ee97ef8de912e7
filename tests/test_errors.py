"""How a command ends when something outside of it does."""

import subprocess
import sys


def test_a_reader_who_has_enough_is_no_error() -> None:
    command = f"{sys.executable} -m losslab losses | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=100)
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
