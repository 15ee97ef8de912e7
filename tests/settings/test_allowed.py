"""Settings run nothing that the project did not name: the allow-list of pyproject.toml, attacked."""

import sys
from collections.abc import Iterator
from pathlib import Path

import own_code
import pytest
from pydantic import ValidationError

from losslab import losses, networks
from losslab.errors import InputError
from losslab.settings import allowed

MARK = "RAN"
EVIL = f"from pathlib import Path\nPath('{MARK}').write_text('')\nclass Evil: ...\n"
FILES = {
    **own_code.FILES,
    "evil.py": EVIL,
    "box/__init__.py": "class Box: ...\n",
    "box/evil.py": EVIL,
    "box/good.py": "class Good: ...\n",
    "broken.py": "x = 1 / 0\n",
    "unparsable.py": "class\n",
    "exports.py": "from box.good import Good\nfrom my_losses import absolute as renamed\n",
}
ALLOW = ["my_losses", "my_nets", "box", "broken", "unparsable", "exports", "missing_library"]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with own_code.beside_params(tmp_path, ALLOW, FILES):
        yield tmp_path


def test_what_is_allowed_is_found_beside_params(folder: Path) -> None:
    assert allowed.named("my_losses:FocalPlus").__name__ == "FocalPlus"
    assert allowed.named("my_losses:absolute").__name__ == "absolute"


@pytest.mark.parametrize(
    "path",
    [
        "evil:Evil",  # a file that is there, and not on the list
        "box.evil:Evil",  # below a package that is on it
        "os:system",
        "subprocess:Popen",
        "builtins:eval",
        "my_losses.os:system",  # through a module that is on it
        "My_Losses:FocalPlus",  # another name on some file systems
        "ｍy_losses:FocalPlus",  # the same name to Python's parser
        "..evil:Evil",
        ".evil:Evil",
        "box..evil:Evil",
        "../evil:Evil",
        "box/evil:Evil",
        "my_losses:os.system",
        "my_losses:path.join",
        "my_losses:",
        ":Evil",
        "my_losses:FocalPlus:Evil",
        "my_losses:FocalPlus\n",
        " evil:Evil",
        "evil :Evil",
        "evil.py:Evil",
    ],
)
def test_nothing_else_is_run(folder: Path, path: str) -> None:
    before = set(sys.modules)
    with pytest.raises(ValidationError, match=r"is not allowed to run; if it is to, add|is no import path"):
        losses.registry.complete({"kind": path})
    assert not (folder / MARK).exists()
    assert not {"evil", "box.evil"} & (set(sys.modules) - before)


@pytest.mark.parametrize("name", ["system", "DiceLoss", "dataclass", "Kind"])
def test_what_an_allowed_module_imported_is_not_allowed_with_it(folder: Path, name: str) -> None:
    with pytest.raises(ValidationError, match=r"is not allowed to run|is no class and no function"):
        allowed.named(f"my_losses:{name}")


def test_what_lies_below_an_allowed_package_is_reached_through_its_front_alone(folder: Path) -> None:
    (folder / "box/__init__.py").write_text("from .good import Good\n", encoding="utf-8")
    assert allowed.named("box:Good").__module__ == "box.good"
    with pytest.raises(ValidationError, match=r'add "box\.good" to the list'):
        allowed.named("box.good:Good")


def test_a_name_that_two_allowed_modules_share_is_allowed(folder: Path) -> None:
    assert allowed.named("exports:renamed") is allowed.named("my_losses:absolute")


@pytest.mark.parametrize("name", ["path", "made", "torch", "__builtins__", "__name__"])
def test_what_is_no_class_and_no_function_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(ValidationError, match="is no class and no function"):
        allowed.named(f"my_losses:{name}")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("broken:X", r"module 'broken' cannot be imported \(ZeroDivisionError: division by zero\)"),
        ("unparsable:X", r"module 'unparsable' cannot be imported \(SyntaxError: "),
        ("missing_library:X", r"cannot be imported \(ModuleNotFoundError: No module named 'missing_library'\)"),
        ("my_losses:FocalPlu", r"module 'my_losses' has no 'FocalPlu'; did you mean 'FocalPlus'\? known: "),
    ],
)
def test_what_cannot_be_imported_is_said_in_a_line(folder: Path, path: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        allowed.named(path)


def test_a_kind_within_a_kind_is_checked_too(folder: Path) -> None:
    terms = [{"loss": {"kind": "mse"}}, {"loss": {"kind": "evil:Evil"}}]
    with pytest.raises(ValidationError, match="'evil:Evil' is not allowed to run"):
        losses.registry.complete({"kind": "sum", "terms": terms})
    assert not (folder / MARK).exists()


def test_options_of_code_from_elsewhere_name_no_code(folder: Path) -> None:
    spec = losses.registry.complete({"kind": "my_losses:FocalPlus", "options": {"plus": {"kind": "evil:Evil"}}})
    losses.registry.build(spec)
    assert not (folder / MARK).exists()


def test_a_data_set_from_elsewhere_must_be_one(folder: Path) -> None:
    from losslab import data

    with pytest.raises(ValidationError, match=r"'my_losses:FocalPlus' is no losslab\.data\.dataset\.Dataset"):
        data.registry.complete({"kind": "my_losses:FocalPlus"})


def test_without_a_list_nothing_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for text in (None, "", "[tool]\n", "[tool.losslab]\n", "[tool.losslab]\nallow = []\n"):
        if text is not None:
            Path("pyproject.toml").write_text(text, encoding="utf-8")
        with pytest.raises(ValidationError, match="is not allowed to run"):
            networks.build("torchvision.models:resnet18", classes=2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tool = 3\n", "pyproject.toml: cannot be read"),
        ("[tool.losslab\n", "pyproject.toml: cannot be read"),
        ("[tool.losslab]\nallow = 'my_losses'\n", r"tool\.losslab\.allow is not a list"),
        ("[tool.losslab]\nallow = ['*']\n", r"tool\.losslab\.allow: '\*' is no module's name"),
        ("[tool.losslab]\nallow = ['my_losses.']\n", "is no module's name"),
        ("[tool.losslab]\nallow = ['my_losses.py']\nx = 1\n", None),
        ("[tool.losslab]\nallow = [3]\n", "3 is no module's name"),
    ],
)
def test_a_list_that_is_none_is_said_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pyproject.toml").write_text(text, encoding="utf-8")
    if message is None:  # a module `py` of a package; it is not there, and allows nothing else
        assert allowed.allowed_modules() == ("my_losses.py",)
        return
    with pytest.raises(InputError, match=message):
        allowed.allowed_modules()
