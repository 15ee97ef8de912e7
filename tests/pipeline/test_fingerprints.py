"""A fingerprint changes with the code that a stage can reach, and with nothing else."""

from pathlib import Path

import pytest

from pipeline.fingerprints import Project

FILES = {
    "pipeline/__init__.py": "",
    "pipeline/train.py": "from lib import loop\nimport torch\n",
    "src/lib/__init__.py": '"""Words."""\n',
    "src/lib/loop.py": "def step():\n    from lib.losses import build\n    return build\n",
    "src/lib/losses/__init__.py": "KINDS = {'dice': 'dice:Dice', 'mse': 'mse:MSE'}\ndef build(kind): ...\n",
    "src/lib/losses/dice.py": 'from ..losses import soft\nclass Dice:\n    """A loss."""\n    x = 1\n',
    "src/lib/losses/mse.py": "class MSE: ...\n",
    "src/lib/losses/soft.py": "def counts(): ...\n",
    "src/lib/other.py": "x = 1\n",
}
MODULES = {"pipeline.train", "lib.losses.dice"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def fingerprint(root: Path) -> str:
    return Project([root / "src", root]).fingerprint(MODULES)


def test_the_closure_follows_imports_wherever_they_stand(root: Path) -> None:
    assert Project([root / "src", root]).closure(MODULES) == {
        "pipeline", "pipeline.train", "lib", "lib.loop", "lib.losses", "lib.losses.dice", "lib.losses.soft",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("src/lib/losses/dice.py", FILES["src/lib/losses/dice.py"].replace("A loss.", "Another text.")),
        ("src/lib/losses/dice.py", FILES["src/lib/losses/dice.py"] + "\n\n# a comment\n"),
        ("src/lib/losses/__init__.py", FILES["src/lib/losses/__init__.py"].replace("'mse'", "'mae': 'mae:MAE', 'mse'")),
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
    "file", ["src/lib/losses/dice.py", "src/lib/losses/soft.py", "src/lib/loop.py", "src/lib/__init__.py"]
)
def test_reached_code_counts(root: Path, file: str) -> None:
    before = fingerprint(root)
    (root / file).write_text(FILES[file] + "y = 2\n")
    assert fingerprint(root) != before


def test_kinds_are_found_however_deep(root: Path) -> None:
    spec = {"kind": "sum", "terms": [{"loss": {"kind": "dice"}}, {"loss": {"kind": "mse"}}]}
    assert Project([root / "src"]).kind_modules("lib.losses", spec) == {"lib.losses.dice", "lib.losses.mse"}


def test_what_writes_no_output_does_not_count() -> None:
    root = Path(__file__).parent.parent
    closure = Project([root / "src", root]).closure({"pipeline.train"})
    assert "losslab.training.loop" in closure
    assert not closure & {"losslab.tracking", "losslab.report.figures", "losslab.comparison.statistics"}
