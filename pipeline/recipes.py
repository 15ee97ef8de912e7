"""Put a recipe in place of params.yaml: `python -m pipeline.recipes NAME`, or `make recipe NAME=…`.

A recipe is a complete params file in recipes/. `default` is params.yaml as last committed. What params.yaml holds is
replaced only if it is also somewhere else, committed or among the recipes.
"""

import subprocess
import sys
from difflib import unified_diff
from pathlib import Path

from losslab.errors import InputError, did_you_mean, exit_on_error
from losslab.results.files import atomic_file
from losslab.settings.params import PARAMS

RECIPES = Path("recipes")
DEFAULT = "default"


def put(name: str) -> str:
    """Make params.yaml the recipe `name`; what changed, as a unified diff.

    Raises:
        InputError: there is no such recipe, or params.yaml has edits that are nowhere else.
    """
    known = {path.stem: path.read_text(encoding="utf-8") for path in sorted(RECIPES.glob("*.yaml"))}
    committed = _committed()
    if committed is not None:
        known[DEFAULT] = committed
    if name not in known:
        raise InputError(f"no recipe '{name}'; {did_you_mean(name, known)}")
    before = PARAMS.read_text(encoding="utf-8") if PARAMS.exists() else ""
    if before and before not in known.values():
        raise InputError(
            f"{PARAMS}: has edits that are nowhere else; commit it, or keep it as a recipe: cp {PARAMS} "
            f"{RECIPES}/mine.yaml"
        )
    with atomic_file(PARAMS) as temporary:
        temporary.write_text(known[name], encoding="utf-8")
    names = (f"{PARAMS} (before)", f"{PARAMS} ({name})")
    return "".join(unified_diff(before.splitlines(True), known[name].splitlines(True), *names))


def _committed() -> str | None:
    """params.yaml as in the last commit; none where there is no git or no such commit."""
    try:
        done = subprocess.run(["git", "show", f"HEAD:./{PARAMS}"], capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    print(put(name) or f"{PARAMS} is {name} already\n", end="")


if __name__ == "__main__":
    exit_on_error(main)
