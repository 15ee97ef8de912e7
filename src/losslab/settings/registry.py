"""From a kind's name in params.yaml to an object: import on demand, options checked against the signature.

A package of kinds (losses, networks, data) lists them in a dict `KINDS = {"dice": "dice:Dice", ...}` of
kind → "module:Class", relative to the package. Nothing is imported until it is asked for, so a stage depends
only on the modules that it uses, and a stage's fingerprint can read the same dict without running it.

A kind `module:Class` is code from elsewhere, if the project allows it. What is of the package's own type is used as
the package's kinds are; the package's `adapter` makes the rest fit.
"""

import inspect
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from importlib import import_module
from typing import Any, Generic, Protocol, TypeVar, cast, get_type_hints

from pydantic import BaseModel, create_model

from losslab.errors import did_you_mean
from losslab.settings import allowed, signature
from losslab.settings.schema import Section, invalid

T = TypeVar("T")


class Adapter(Protocol):
    """A module that makes classes and functions from elsewhere fit a package."""

    Spec: type[Section]
    """What params.yaml may say of one."""

    def complete(self, spec: Mapping[str, Any], named: Any) -> dict[str, Any]:
        """`spec` checked, with defaults and guesses filled in, for the object that its kind names."""

    def build(self, spec: Mapping[str, Any], named: Any, **given: Any) -> Any:
        """An object of the package's type that uses the one that the kind names."""


@dataclass(frozen=True)
class Registry(Generic[T]):
    """The kinds of one package.

    Args:
        package: dotted name of the package, such as `losslab.losses`.
        kinds: kind → "module:Class".
        given: constructor arguments that the program gives, so that params.yaml may not.
        own: "module:Class" of the package; subclasses from elsewhere are used as its kinds are.
        adapter: module of the package that makes everything else from elsewhere fit; an `Adapter`.
        common: keys that a spec of every kind may have, which others than the kind itself read.
    """

    package: str
    kinds: Mapping[str, str]
    given: tuple[str, ...] = ()
    own: str = ""
    adapter: str = ""
    common: Mapping[str, type[Section]] = field(default_factory=dict)

    def resolve(self, kind: str) -> type[T]:
        """The class of `kind`; a `pydantic.ValidationError` that names the nearest kind if there is none."""
        if allowed.is_import_path(kind):
            named = allowed.named(kind)
            if not self._is_own(named):
                raise invalid("kind", f"'{kind}' is no {self.package}.{self.own.replace(':', '.')}", kind)
            return cast(type[T], named)
        if not isinstance(kind, str) or kind not in self.kinds:
            hint = did_you_mean(str(kind), self.kinds)
            raise invalid("kind", f"no kind '{kind}' in {self.package}.KINDS; {hint}", kind)
        return cast(type[T], self._class(self.kinds[kind]))

    def _class(self, place: str) -> Any:
        module, name = place.split(":")
        return getattr(import_module(f"{self.package}.{module}"), name)

    def _is_own(self, named: Any) -> bool:
        return bool(self.own) and inspect.isclass(named) and issubclass(named, self._class(self.own))

    def _adapted(self, kind: Any) -> tuple[Adapter, Any] | None:
        """The adapter and what it is to adapt, if the kind is from elsewhere and of another type."""
        if not self.adapter or not allowed.is_import_path(kind):
            return None
        named = allowed.named(kind)
        adapter = cast(Adapter, import_module(f"{self.package}.{self.adapter}"))
        return None if self._is_own(named) else (adapter, named)

    def check(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """The options in `spec` (all but `kind`), validated and with defaults filled in.

        Raises:
            pydantic.ValidationError: an unknown kind or option, a wrong type, a value out of range.
        """
        kind = spec.get("kind", "")
        schema = _schema(self.resolve(kind), self.given)  # type: ignore[arg-type]
        options = {key: value for key, value in spec.items() if key != "kind"}
        if allowed.is_import_path(kind) and isinstance(options.get("options"), Mapping):
            options |= options.pop("options")
        checked = schema.model_validate(options)
        return {name: getattr(checked, name) for name in schema.model_fields}

    def complete(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """`spec` with every default filled in, as plain values: the same for the same options however written.

        Raises:
            pydantic.ValidationError: as `check`.
        """
        optional: dict[str, Any] = {key: (section | None, None) for key, section in self.common.items()}
        self._refuse_left_over(spec)
        common = create_model("Common", **optional).model_validate({key: spec.get(key) for key in self.common})
        beside = {key: value for key, value in common.model_dump(mode="json").items() if value is not None}
        spec = self._of_kind(spec)
        if adapted := self._adapted(spec.get("kind")):
            adapter, named = adapted
            return adapter.complete(spec, named) | beside
        options = self._plain(self.check(spec))
        return {"kind": spec["kind"], **options} | beside

    def _refuse_left_over(self, spec: Mapping[str, Any]) -> None:
        """Refuse an option that other kinds have, as is left over when a kind is replaced, for an experiment say.

        Raises:
            pydantic.ValidationError: names these kinds, and how the option is removed.
        """
        kind = spec.get("kind")
        if not isinstance(kind, str) or not (allowed.is_import_path(kind) or kind in self.kinds):
            return
        unknown = [key for key in self._of_kind(spec) if key not in self._keys_of(kind)]
        for key in unknown:
            if having := [other for other in self.kinds if key in self._options_of(other)]:
                which = f"{having[0]} has" if len(having) == 1 else f"{len(having)} other kinds have"
                removed = "remove it; in an experiment, -S '~{path}' does"
                raise invalid(key, f"{kind} has no such option, as {which}; {removed}", spec[key])

    def _keys_of(self, kind: str) -> Collection[str]:
        """What may stand in a spec of a kind."""
        if adapted := self._adapted(kind):
            return {*adapted[0].Spec.model_fields, *(signature.parameters(adapted[1]) or ())}
        return {"kind", "options", *self._options_of(kind)}

    def _options_of(self, kind: str) -> Collection[str]:
        return _schema(self.resolve(kind), self.given).model_fields  # type: ignore[arg-type]

    def _of_kind(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in spec.items() if key not in self.common}

    def _plain(self, value: Any) -> Any:
        if isinstance(value, BaseModel):
            return {name: self._plain(getattr(value, name)) for name in type(value).model_fields}
        if isinstance(spec := getattr(value, "spec", None), Mapping):  # made by an adapter
            return dict(spec)
        if is_dataclass(value) and not isinstance(value, type):
            return {"kind": self._kind_of(value)} | {
                f.name: self._plain(getattr(value, f.name)) for f in fields(value) if f.name not in self.given
            }
        if isinstance(value, Mapping):
            return {key: self._plain(item) for key, item in value.items()}
        return [self._plain(item) for item in value] if isinstance(value, list | tuple) else value

    def _kind_of(self, value: Any) -> str:
        where = f"{type(value).__module__.removeprefix(f'{self.package}.')}:{type(value).__name__}"
        kinds = (kind for kind, place in self.kinds.items() if place == where)
        return next(kinds, None) or allowed.path_of(type(value))

    def build(self, spec: Mapping[str, Any], **given: Any) -> T:
        """An object from a mapping of `kind` and its options, checked as in `check`; `common` keys are left."""
        spec = self._of_kind(spec)
        if adapted := self._adapted(spec.get("kind")):
            adapter, named = adapted
            return cast(T, adapter.build(spec, named, **given))
        return self.resolve(spec.get("kind", ""))(**self.check(spec), **given)


@cache
def _schema(cls: type[Any], given: tuple[str, ...]) -> type[Section]:
    """A pydantic model with one field per constructor argument of `cls`."""
    hints = get_type_hints(cls, include_extras=True) | get_type_hints(cls.__init__, include_extras=True)
    fields: dict[str, Any] = {
        name: (hints[name], ... if parameter.default is inspect.Parameter.empty else parameter.default)
        for name, parameter in inspect.signature(cls).parameters.items()
        if name not in given
    }
    return create_model(cls.__name__, __base__=Section, **fields)
