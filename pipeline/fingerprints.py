"""Which code a stage instance really uses: a fingerprint of every project module that its stage file can import.

DVC does not follow Python imports, and depending on all of `src/` would retrain everything on any edit. A fingerprint
hashes the syntax trees of a stage's import closure without docstrings, so comments, docstrings and formatting do not
count, nor does a module that the stage cannot reach. Kinds are imported by name at run time, so the caller names them;
a kind `module:Class` may lie anywhere in the repository, or in an installed library. Standard library only.
"""

import ast
import hashlib
from collections.abc import Container, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pipeline import libraries

NOT_FOLLOWED = {
    "losslab.errors": "words for people",
    "losslab.settings": "what it checks and fills in stands in the plan",
    "losslab.results.paths": "where outputs lie: dvc.yaml says so too, and DVC compares that",
    "losslab.tracking": "MLflow is a projection of the outputs and writes none of them",
    "losslab": "the package's front, which holds no code",
    "pipeline": "how a stage is ended",
}
"""Modules (of `losslab.settings` and `losslab.tracking` all) that no output depends on, and why."""
ROOMS_NOT_FOLLOWED = ("losslab.settings.", "losslab.tracking.")
NOT_CALLED = {
    "download": {f"losslab.data.{name}" for name in ("coco.extraction", "coco.outlines", "extraction",
                                                     "exports.label_studio.brush", "exports.label_studio.extraction",
                                                     "exports.yolo.extraction", "mask_files.label_maps",
                                                     "particular.trees", "photos", "tensors", "workers")},
    "extract": {f"losslab.data.{name}" for name in ("coco.sources", "sources.downloads", "sources.http",
                                                    "sources.packages")},
}  # fmt: skip
"""Stage → modules that its kinds import for another stage: a download looks into no image, and extraction, which reads
what the download left, fetches nothing."""

SETTINGS_OF_OTHERS = ("options", "pretrained", "train")
"""Keys of a network or loss whose content names no kind of the package."""


class Project:
    """The Python modules below some source roots, such as `["src", "."]`.

    Args:
        roots: folders that are looked through in this order.
        packages: name of a package that is one of the project's, though it is installed → its folder.
    """

    def __init__(self, roots: Iterable[Path], packages: Mapping[str, Path] | None = None) -> None:
        self.roots = tuple(roots)
        self.packages = packages or {}
        self._path = cache(self._find)
        self._source = cache(self._read)
        self._imported = cache(lambda name: tuple(filter(self._path, self._imports(name))))

    def fingerprint(self, stage: str, kinds: Mapping[str, Any] | None = None) -> str:
        """Hex digest of the code of a stage: the same for the same code, whatever its comments.

        Args:
            stage: the stage's name, that of its file in `pipeline/`.
            kinds: package of kinds → a mapping from params.yaml; the code of every `kind` in it, however deep, counts.
        """
        whole = hashlib.sha256()
        for name in sorted(self.modules(stage, kinds)):
            if not self._is_registry(name):
                whole.update(f"{name}\n{_dump(self._source(name))}\n".encode())
        for library, identity in self.libraries(stage, kinds).items():
            whole.update(f"{library} {identity}\n".encode())
        return whole.hexdigest()

    def modules(self, stage: str, kinds: Mapping[str, Any] | None = None) -> set[str]:
        """Dotted names of the project's modules that a stage can reach; `kinds` as for `fingerprint`."""
        first = {f"pipeline.{stage}"}
        for package, spec in (kinds or {}).items():
            for kind in _kinds(spec):
                first |= {name for name in self.kind_modules(package, kind) if self.has(name)}
        return self.closure(first, NOT_CALLED.get(stage, ()))

    def libraries(self, stage: str, kinds: Mapping[str, Any] | None = None) -> dict[str, str]:
        """Installed libraries that its numbers depend on. Those that losslab needs → version; those that kinds name,
        and those that the code of the project's kinds imports beside them → version and digest."""

        def imports(modules: Iterable[str]) -> set[str]:
            return {other.split(".")[0] for name in modules for other in self._imports(name)}

        reached = self.modules(stage, kinds)
        imported = imports(reached - self.modules(stage)) if kinds else set()
        elsewhere = {top for top in imported if not self._is_ours(top)}
        used = libraries.identities(elsewhere, without=libraries.needed_by_losslab())
        named = {kind.split(":")[0] for spec in (kinds or {}).values() for kind in _kinds(spec) if ":" in kind}
        used |= libraries.identities(name for name in named if not self.has(name))
        # What a download fetched is verified, and is not to be fetched again for a new version of NumPy.
        return (libraries.versions(imports(reached)) if stage != "download" else {}) | used

    def own(self, stage: str, kinds: Mapping[str, Any] | None = None) -> set[Path]:
        """The files of the modules that a stage can reach and that are neither losslab's nor the pipeline's."""
        names = (name for name in self.modules(stage, kinds) if name.split(".")[0] not in ("losslab", "pipeline"))
        return {path for path in map(self._path, names) if path is not None}

    def closure(self, modules: Iterable[str], without: Container[str] = ()) -> set[str]:
        """Dotted names of `modules` and of every project module that they import, anywhere in their code; those
        `without` are not followed."""
        reached: set[str] = set()
        waiting = list(modules)
        while waiting:
            name = waiting.pop()
            if name in reached or name in without or name in NOT_FOLLOWED or name.startswith(ROOMS_NOT_FOLLOWED):
                continue
            reached.add(name)
            waiting += self._imported(name)
        return reached

    def kind_modules(self, package: str, kind: str) -> set[str]:
        """The module of a kind, by the package's `KINDS`; of `module:Class` that module and what adapts it."""
        if ":" in kind:
            return _chain(kind.split(":")[0]) | {name for name in (f"{package}.foreign",) if self.has(name)}
        return {self._kind_module(package, kind)}

    def _kind_module(self, package: str, kind: str) -> str:
        for node in _tree(self._source(package)).body:
            if _is_kinds(node):
                return f"{package}.{ast.literal_eval(node.value)[kind].split(':')[0]}"  # type: ignore[attr-defined]
        raise ValueError(f"{package} has no KINDS")

    def has(self, name: str) -> bool:
        """Whether there is a module of that name."""
        return self._path(name) is not None

    def _is_ours(self, top: str) -> bool:
        """Whether a top-level name is a module or a folder of the project."""
        return top in self.packages or any((root / top).is_dir() or self._path(top) for root in self.roots)

    def _is_registry(self, name: str) -> bool:
        """Whether it is a package's table of kinds. What it chose stands in the plan, and a kind that is added to it
        is to retrain none of the others."""
        return any(map(_is_kinds, _tree(self._source(name)).body))

    def _find(self, name: str) -> Path | None:
        parts = name.split(".")
        roots = [self.packages[parts[0]].parent] if parts[0] in self.packages else self.roots
        for root in roots:
            for path in (root.joinpath(*parts).with_suffix(".py"), root.joinpath(*parts, "__init__.py")):
                if path.is_file():
                    return path
        return None

    def _read(self, name: str) -> str:
        path = self._path(name)
        assert path is not None, name
        return path.read_text(encoding="utf-8")

    def _imports(self, name: str) -> set[str]:
        """What `name` may import, and the packages it lies in, whose `__init__` runs first."""
        path = self._path(name)
        inside = name.rpartition(".")[0]
        return _imports(self._source(name), name if path and path.name == "__init__.py" else inside) | _chain(inside)


@cache
def _tree(source: str) -> ast.Module:
    """The syntax tree without what does not change what the code does: bare strings, docstrings among them."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            body = getattr(node, field, None)
            if isinstance(body, list):
                setattr(node, field, [n for n in body if not _is_bare_string(n)])
    return tree


@cache
def _dump(source: str) -> str:
    return ast.dump(_tree(source))


@cache
def _imports(source: str, package: str) -> set[str]:
    """Dotted names that the code of a module in `package` may import, and the packages they lie in."""
    names: set[str] = set()
    for node in ast.walk(_tree(source)):
        if isinstance(node, ast.Import):
            names.update(*(_chain(alias.name) for alias in node.names))
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, base] if base else parents)
            names.update(*(_chain(f"{base}.{alias.name}") for alias in node.names))
    return names


def _chain(name: str) -> set[str]:
    """A dotted name and the packages that it lies in."""
    parts = name.split(".")
    return {".".join(parts[: n + 1]) for n in range(len(parts))} - {""}


def _kinds(spec: Any) -> Iterator[str]:
    if isinstance(spec, Mapping):
        if isinstance(spec.get("kind"), str):
            yield spec["kind"]
        for key, value in spec.items():
            if key not in SETTINGS_OF_OTHERS:
                yield from _kinds(value)
    elif isinstance(spec, list):
        for value in spec:
            yield from _kinds(value)


def _is_kinds(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "KINDS" for t in node.targets)


def _is_bare_string(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
