"""What `losslab init` writes into a repository of one's own: the pipeline, its settings, and what git and DVC ignore.

The wheel carries these files as they are in losslab's own repository. A file that is there is never written over: of
those that tools share, the lines that are lacking go to the end.
"""

import re
import tomllib
from pathlib import Path

import losslab
from losslab.errors import InputError

CLONE_ONLY = {"pipeline/recipes.py"}
"""Files for work on losslab itself."""
OF_THE_CLONE = re.compile(r"^ *- (?:src|src/losslab/report/web|requirements\.lock|results/tuning)\n", re.MULTILINE)
"""Dependencies in dvc.yaml that only a clone has; an installed losslab is followed by the plan."""
ALLOW = """
# Modules that params.yaml and model files may name as `kind: module:Class`; nothing else is imported for them.
[tool.losslab]
allow = []
"""
IGNORED_BY_GIT = """/data/raw
/data/tensors
/data/weights
/results/*
!/results/metrics.json
/checkpoints/
/downloads/
/mlflow.db*
/mlartifacts/
/dvc_plots/
__pycache__/
"""


def start(root: Path) -> list[str]:
    """Write all of it into a repository; a line for each file, said as it was done.

    Raises:
        InputError: it is no repository of git and DVC, or files of these names are there; then nothing is written.
    """
    if not (root / ".dvc").is_dir():
        raise InputError("no folder .dvc here; run `git init` and `dvc init` first, where your own code is")
    source = _source()
    new = {path: (source / path).read_text(encoding="utf-8") for path in _paths(source)}
    new["dvc.yaml"] = OF_THE_CLONE.sub("", new["dvc.yaml"])
    if there := sorted(path for path in new if (root / path).exists()):
        names = ", ".join(there[:3]) + (", …" if len(there) > 3 else "")
        raise InputError(f"{names}: already here, and nothing is written over; move it away, or start elsewhere")
    done = []
    for path, text in new.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
        done.append(f"{path}: written")
    ignored_by_dvc = (source / ".dvcignore").read_text(encoding="utf-8")
    for path, text in ((".gitignore", IGNORED_BY_GIT), (".dvcignore", ignored_by_dvc)):
        done += _append(root / path, [line for line in text.splitlines() if line])
    return [*done, *_allow_nothing(root / "pyproject.toml")]


def _source() -> Path:
    """Where the files lie: in the installed package, or in the clone that this is."""
    package = Path(losslab.__file__).parent
    return package / "project" if (package / "project").is_dir() else package.parent.parent


def _paths(source: Path) -> list[str]:
    found = [*sorted(source.glob("pipeline/*.py")), *sorted(source.glob(".dvc/plots/*.json"))]
    paths = [path.relative_to(source).as_posix() for path in found]
    return [*(path for path in paths if path not in CLONE_ONLY), "dvc.yaml", "params.yaml"]


def _append(file: Path, lines: list[str]) -> list[str]:
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    lacking = [line for line in lines if line not in text.splitlines()]
    if not lacking:
        return []
    if text and not text.endswith("\n"):
        text += "\n"
    file.write_text(text + "\n".join(lacking) + "\n", encoding="utf-8")
    return [f"{file.name}: {len(lacking)} lines added" if text else f"{file.name}: written"]


def _allow_nothing(file: Path) -> list[str]:
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    try:
        has_list = "losslab" in tomllib.loads(text).get("tool", {})
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{file.name}: not TOML ({error}); mend it, add [tool.losslab] with allow = []") from None
    if has_list:
        return []
    file.write_text(f"{text}{ALLOW}" if text else ALLOW.lstrip(), encoding="utf-8")
    return [f"{file.name}: [tool.losslab] added" if text else f"{file.name}: written"]
