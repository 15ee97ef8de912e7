"""A fingerprint changes with the code that a stage can reach, and with nothing else."""

from pathlib import Path

import pytest
from projects import ROOT

from pipeline.fingerprints import NOT_CALLED, NOT_FOLLOWED, Project

FILES = {
    "pipeline/__init__.py": "",
    "pipeline/train.py": "from lib import loop\nimport torch\n",
    "src/lib/__init__.py": '"""Words."""\n',
    "src/lib/loop.py": "def step():\n    from lib.losses import build\n    return build\n",
    "src/lib/losses/__init__.py": "KINDS = {'dice': 'dice:Dice', 'mse': 'mse:MSE', 'sum': 'sum:Sum'}\n"
    "def build(kind): ...\n",
    "src/lib/losses/dice.py": 'from ..losses import soft\nclass Dice:\n    """A loss."""\n    x = 1\n',
    "src/lib/losses/sum.py": "class Sum: ...\n",
    "src/lib/losses/mse.py": "class MSE: ...\n",
    "src/lib/losses/soft.py": "def counts(): ...\n",
    "src/lib/other.py": "x = 1\n",
}
SPEC = {"kind": "sum", "terms": [{"loss": {"kind": "dice"}}]}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def fingerprint(root: Path) -> str:
    return Project([root / "src", root]).fingerprint("train", {"lib.losses": SPEC})


def test_the_closure_follows_imports_wherever_they_stand(root: Path) -> None:
    assert Project([root / "src", root]).closure({"pipeline.train", "lib.losses.dice"}) == {
        "pipeline.train", "lib", "lib.loop", "lib.losses", "lib.losses.dice", "lib.losses.soft",
    }  # fmt: skip


def test_what_a_stage_does_not_call_is_not_followed(root: Path) -> None:
    closure = Project([root / "src", root]).closure({"pipeline.train"}, without={"lib.losses"})
    assert closure == {"pipeline.train", "lib", "lib.loop"}


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("src/lib/losses/dice.py", FILES["src/lib/losses/dice.py"].replace("A loss.", "Another text.")),
        ("src/lib/losses/dice.py", FILES["src/lib/losses/dice.py"] + "\n\n# a comment\n"),
        ("src/lib/losses/__init__.py", FILES["src/lib/losses/__init__.py"].replace("'mse'", "'mae': 'mae:MAE', 'mse'")),
        ("src/lib/losses/__init__.py", FILES["src/lib/losses/__init__.py"] + "def checked(spec): ...\n"),
        ("src/lib/__init__.py", ""),
        ("src/lib/other.py", "x = 2\n"),
        ("src/lib/losses/mse.py", "class MSE: y = 1\n"),
    ],
)
def test_words_and_unreached_code_do_not_count(root: Path, file: str, text: str) -> None:
    before = fingerprint(root)
    (root / file).write_text(text)
    assert fingerprint(root) == before


@pytest.mark.parametrize(
    "file",
    [
        "src/lib/losses/dice.py",
        "src/lib/losses/sum.py",
        "src/lib/losses/soft.py",
        "src/lib/loop.py",
        "src/lib/__init__.py",
        "pipeline/train.py",
    ],
)
def test_reached_code_counts(root: Path, file: str) -> None:
    before = fingerprint(root)
    (root / file).write_text(FILES[file] + "y = 2\n")
    assert fingerprint(root) != before


def test_a_stage_that_names_no_kinds_reaches_none(root: Path) -> None:
    before = Project([root / "src", root]).fingerprint("train")
    (root / "src/lib/losses/dice.py").write_text("class Dice: y = 1\n")
    assert Project([root / "src", root]).fingerprint("train") == before


def test_every_module_that_is_not_followed_is_one() -> None:
    project = Project([ROOT / "src", ROOT])
    names = {*NOT_FOLLOWED, *(name for names in NOT_CALLED.values() for name in names)}
    assert {name for name in names if not project.has(name)} == set()
