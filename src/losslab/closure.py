"""Which code a stage really uses: a fingerprint of every project module that its stage file can import.

DVC does not follow Python imports, and depending on all of `src/` would retrain everything on any edit. A fingerprint
hashes the syntax trees of a stage's import closure without docstrings, so comments, docstrings and formatting do not
count, nor does a module that the stage cannot reach. Kinds are imported by name at run time, so the caller names them;
the `KINDS` tables themselves do not count, or adding one's own loss would retrain every other. Nor does the projection
into MLflow, which writes no output of a stage. Standard library only.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

BESIDE = frozenset({"losslab.tracking"})
"""Modules that stages call and that write none of their outputs."""


class Project:
    """The Python modules below some source roots, such as `["src", "."]`."""

    def __init__(self, roots: Iterable[Path]) -> None:
        self.roots = tuple(roots)
        self._tree = cache(self._parse)

    def fingerprint(self, modules: Iterable[str]) -> str:
        """Hex digest of the closure of `modules`: the same for the same code, whatever its comments."""
        whole = hashlib.sha256()
        for name in sorted(self.closure(modules)):
            whole.update(f"{name}\n{ast.dump(self._tree(name))}\n".encode())
        return whole.hexdigest()

    def closure(self, modules: Iterable[str]) -> set[str]:
        """Dotted names of `modules` and of every project module that they import, anywhere in their code."""
        found: set[str] = set()
        waiting = list(modules)
        while waiting:
            name = waiting.pop()
            if name in found or name in BESIDE:
                continue
            found.add(name)
            waiting += self._imports(name)
        return found

    def kind_module(self, package: str, kind: str) -> str | None:
        """The module of a kind, by the package's `KINDS`; none if there is no such kind."""
        source = self._path(package)
        for node in ast.parse(source.read_text()).body if source else ():
            if _is_kinds(node):
                table = ast.literal_eval(node.value)  # type: ignore[attr-defined]
                return f"{package}.{table[kind].split(':')[0]}" if kind in table else None
        return None

    def kind_modules(self, package: str, spec: Any) -> set[str]:
        """The modules of every `kind` in a mapping from params.yaml, however deep."""
        return {module for kind in _kinds(spec) if (module := self.kind_module(package, kind))}

    def _path(self, name: str) -> Path | None:
        parts = name.split(".")
        for root in self.roots:
            for path in (root.joinpath(*parts).with_suffix(".py"), root.joinpath(*parts, "__init__.py")):
                if path.is_file():
                    return path
        return None

    def _parse(self, name: str) -> ast.Module:
        path = self._path(name)
        assert path is not None, name
        return _without_words(ast.parse(path.read_text(), str(path)))

    def _imports(self, name: str) -> Iterator[str]:
        """Project modules that `name` imports, and the packages it lies in, whose `__init__` runs first."""
        path = self._path(name)
        package = name if path and path.name == "__init__.py" else name.rpartition(".")[0]
        candidates = [name.rpartition(".")[0]]
        for node in ast.walk(self._tree(name)):
            if isinstance(node, ast.Import):
                candidates += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                    base = ".".join([*parents, base] if base else parents)
                candidates += [base, *(f"{base}.{alias.name}" for alias in node.names)]
        for candidate in candidates:
            while candidate:
                if self._path(candidate):
                    yield candidate
                candidate = candidate.rpartition(".")[0]


def stage_fingerprints(project: Project, params: Mapping[str, Any]) -> dict[str, str]:
    """`stage/instance` → fingerprint, for every stage of dvc.yaml and every instance that `params` asks for."""
    files, datasets, losses = "pipeline", "losslab.data", "losslab.losses"
    found = {}
    for dataset in params["grid"]["datasets"]:
        data = project.kind_modules(datasets, {"kind": params["datasets"][dataset]["kind"]})
        for stage in ("download", "extract"):
            found[f"{stage}/{dataset}"] = project.fingerprint({f"{files}.{stage}", *data})
        for loss in params["grid"]["losses"]:
            used = project.kind_modules(losses, params["losses"][loss])
            used |= project.kind_modules("losslab.models", {"kind": params["model"]["kind"]})
            for stage in ("train", "evaluate"):
                found[f"{stage}/{dataset}-{loss}"] = project.fingerprint({f"{files}.{stage}", *used})
    for stage in ("compare", "report"):
        found[f"{stage}"] = project.fingerprint({f"{files}.{stage}"})
    return found


def _kinds(spec: Any) -> Iterator[str]:
    if isinstance(spec, Mapping):
        if isinstance(spec.get("kind"), str):
            yield spec["kind"]
        for value in spec.values():
            yield from _kinds(value)
    elif isinstance(spec, list):
        for value in spec:
            yield from _kinds(value)


def _is_kinds(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "KINDS" for t in node.targets)


def _without_words(tree: ast.Module) -> ast.Module:
    """Drop what does not change what the code does: bare strings (docstrings among them) and the `KINDS` table."""
    tree.body = [node for node in tree.body if not _is_kinds(node)]
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            body = getattr(node, field, None)
            if isinstance(body, list):
                setattr(node, field, [n for n in body if not _is_bare_string(n)])
    return tree


def _is_bare_string(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
