"""Which code the settings may name: `kind: module:Class`, of the modules that the project allowed in pyproject.toml.

Settings come from others too, in a params file or in a model file, so they run nothing that is not on this list:

    [tool.losslab]
    allow = ["my_losses", "monai.losses"]

A name is allowed as it is written: not the packages above it, not the modules below it, and not what it imported from
a module that is not allowed itself.
"""

import importlib
import inspect
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

from losslab.errors import InputError, did_you_mean
from losslab.settings.schema import invalid

ALLOW_LIST = Path("pyproject.toml")

_MODULE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_IMPORT_PATH = re.compile(rf"{_MODULE.pattern}:[A-Za-z_]\w*", re.ASCII)

_asked_for: dict[str, Any] = {}
"""Import path → what it named."""


def is_import_path(kind: Any) -> bool:
    """Whether a `kind` is `module:Name` rather than one of losslab's own."""
    return isinstance(kind, str) and ":" in kind


def allowed_modules() -> tuple[str, ...]:
    """The modules in `[tool.losslab] allow` of the pyproject.toml beside params.yaml; none where there is no such file.

    Raises:
        InputError: the file or the list cannot be read.
    """
    try:
        tool = tomllib.loads(ALLOW_LIST.read_text(encoding="utf-8")).get("tool", {})
        allow = tool.get("losslab", {}).get("allow", [])
    except FileNotFoundError:
        return ()
    except (ValueError, AttributeError) as error:
        raise InputError(f"{ALLOW_LIST}: cannot be read ({' '.join(str(error).split())[:200]})") from None
    if not isinstance(allow, list):
        raise InputError(f'{ALLOW_LIST}: tool.losslab.allow is not a list; write allow = ["my_losses"]')
    for module in allow:
        if not isinstance(module, str) or not _MODULE.fullmatch(module):
            raise InputError(f"{ALLOW_LIST}: tool.losslab.allow: {module!r} is no module's name, such as 'my_losses'")
    return tuple(allow)


def named(path: str) -> Any:
    """The class or function that an import path names.

    Raises:
        pydantic.ValidationError: it is no import path, is not allowed, or cannot be imported.
        InputError: as `allowed_modules`.
    """
    if not _IMPORT_PATH.fullmatch(path):
        raise invalid("kind", f"'{path}' is no import path; write module:Class, such as my_losses:MyLoss", path)
    module, name = path.split(":")
    allowed = allowed_modules()
    if module not in allowed:
        raise invalid("kind", f"'{path}' is not allowed to run; {_add(module)}", path)
    try:
        everything = vars(_imported(module))
    except Exception as error:  # whatever the module's own code raises
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise invalid("kind", f"module '{module}' cannot be imported ({reason})", path) from None
    if name not in everything:
        defined = [key for key, value in everything.items() if _is_code(value) and not key.startswith("_")]
        raise invalid("kind", f"module '{module}' has no '{name}'; {did_you_mean(name, defined)}", path)
    found = everything[name]
    if not _is_code(found):
        raise invalid("kind", f"'{path}' is no class and no function", path)
    home = str(found.__module__)
    if not any(home == module or home.startswith(f"{module}.") for module in allowed):
        raise invalid("kind", f"'{path}' is {home}:{found.__name__}, which is not allowed to run; {_add(home)}", path)
    _asked_for[path] = found
    return found


def path_of(named_object: Any) -> str:
    """The import path by which `named` gave a class or function."""
    return next(path for path, value in _asked_for.items() if value is named_object)


def _is_code(value: Any) -> bool:
    return inspect.isclass(value) or inspect.isfunction(value)


def _add(module: str) -> str:
    return f'if it is to, add "{module}" to the list `allow` of [tool.losslab] in {ALLOW_LIST}'


def _imported(module: str) -> Any:
    """The module, looked for beside params.yaml and in `src` first, as the stages look for it."""
    for folder in (Path("src").resolve(), Path.cwd()):
        if folder.is_dir() and str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    return importlib.import_module(module)
