"""The one exception that a user is meant to read, and how it reaches them."""

import os
import sys
import unicodedata
from collections.abc import Callable, Iterable
from difflib import get_close_matches


class InputError(Exception):
    """Something the user gave is wrong: the message names it and says what to do, a line for each."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of an error message: the known word nearest to `word`, and all known words."""
    known = list(known)
    near = get_close_matches(str(word), known, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return f"{hint}known: {', '.join(known) or 'none'}"


def visible(text: str) -> str:
    """A stranger's text as it may be printed: what a terminal would obey, and nobody see, is written as `\\x1b` is."""
    return "".join(
        sign.encode("unicode_escape").decode() if unicodedata.category(sign).startswith("C") else sign for sign in text
    )


def exit_on_error(main: Callable[[], None]) -> None:
    """Run `main`; what a user can mend becomes `error: …` on stderr and exit status 1, without a traceback."""
    try:
        main()
        sys.stdout.flush()
    except BrokenPipeError:  # what reads the output has enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except InputError as error:
        sys.exit("error: " + "\n".join(map(visible, str(error).split("\n"))))
    except OSError as error:
        sys.exit(visible(f"error: {error.filename}: {error.strerror}" if error.filename else f"error: {error}"))
    except MemoryError as error:
        sys.exit(f"error: out of memory {error}".rstrip())
    except KeyboardInterrupt:
        sys.exit(130)
