"""Which installed libraries a stage instance uses, beside those that losslab itself needs: version and content.

Code from elsewhere is not read module by module as the project's own is: a library's files are those of its
distribution, whose RECORD has a hash of each.
"""

import hashlib
import json
import re
import sys
from collections.abc import Container, Iterable, Mapping
from functools import cache
from importlib import metadata, util
from pathlib import Path

from losslab.errors import InputError

NUMERIC = {
    "PIL": "pillow",
    "matplotlib": "matplotlib",
    "numpy": "numpy",
    "pycocotools": "pycocotools",
    "scipy": "scipy",
    "torch": "torch",
    "torchvision": "torchvision",
}
"""Module → distribution, of the libraries that losslab needs and another version of which may change a result."""


def versions(modules: Iterable[str]) -> dict[str, str]:
    """Name → version, of the `NUMERIC` libraries among some top-level modules; builds for other devices are alike."""
    names = sorted(NUMERIC[module] for module in set(modules) & NUMERIC.keys())
    return {name: metadata.version(name).split("+")[0] for name in names}


def check(planned: Mapping[str, str]) -> None:
    """Refuse to compute with other versions than the plan says: its outputs would stand for those.

    Raises:
        InputError: another version of a numeric library is installed here.
    """
    for module, name in NUMERIC.items():
        if name in planned and (here := versions([module])[name]) != planned[name]:
            raise InputError(
                f"{name} {here} is installed here, and this was planned with {planned[name]}; `dvc repro --force plan` "
                "plans anew, and `dvc commit --force` after it keeps results of the other version knowingly"
            )


def identities(modules: Iterable[str], without: Container[str] = ()) -> dict[str, str]:
    """Name of a library → its version and a digest of its files, for the libraries of some dotted module names.

    Modules of Python, names that nothing is installed for, and the libraries `without` count for nothing.
    """
    found = {}
    for module in {name.split(".")[0] for name in modules} - sys.stdlib_module_names:
        for name in _distributions().get(module, ()):
            if _normal(name) not in without:
                found[_normal(name)] = _of_distribution(name, module)
        if module not in _distributions() and (digest := _of_files(module)):
            found[module] = digest
    return dict(sorted(found.items()))


@cache
def needed_by_losslab() -> frozenset[str]:
    """The libraries that losslab needs whatever is trained, which are of one set of versions in one environment."""
    try:
        required = metadata.requires("losslab") or []
    except metadata.PackageNotFoundError:
        required = []
    names = (re.split(r"[^\w.-]", line)[0] for line in required if "extra ==" not in line)
    return frozenset(map(_normal, names)) | {"losslab"}


@cache
def _distributions() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()


@cache
def _of_distribution(name: str, module: str) -> str:
    distribution = metadata.distribution(name)
    url = json.loads(distribution.read_text("direct_url.json") or "{}")
    if url.get("dir_info", {}).get("editable"):
        return f"{distribution.version}, editable, {_of_files(module)}"
    lines = (distribution.read_text("RECORD") or "").splitlines()
    # Installers add files of their own, each as it likes.
    files = sorted(line for line in lines if not re.search(r"\.dist-info/|\.pyc\b|^\.\./", line))
    digest = hashlib.sha256("\n".join(files).encode()).hexdigest()
    return f"{distribution.version}, sha256 {digest[:16]}"


@cache
def _of_files(module: str) -> str:
    """A digest of the source files of a module that no distribution lists, such as one of PYTHONPATH."""
    try:
        spec = util.find_spec(module)
    except (ImportError, ValueError):
        return ""
    if spec is None:
        return ""
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    files = [path for folder in folders for path in sorted(folder.rglob("*.py"))] or [Path(spec.origin or "")]
    whole = hashlib.sha256()
    for path in files:
        if path.is_file():
            whole.update(path.name.encode() + path.read_bytes())
    return f"sha256 {whole.hexdigest()[:16]}"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
