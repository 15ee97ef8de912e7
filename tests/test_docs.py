"""What the pages say is so: links lead somewhere, files are there, commands are real, columns are those of the code."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from dvc.cli.parser import get_main_parser
from projects import ROOT

from losslab import __main__ as command_line
from losslab import __version__, data
from losslab.evaluation import metrics
from losslab.evaluation.aggregates import Draws, unweighted
from losslab.results import boundary_scores, history, scores

PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("recipes/*.md")),
    ROOT / "data/README.md",
]
RECIPES = sorted(ROOT.glob("recipes/*.yaml"))
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
DVC_YAML = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
WORK_IN_PROGRESS = {"checkpoints", "downloads"}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def code(page: Path) -> Iterator[str]:
    """Every code span of a page, on one line, and every line of its blocks of commands; of a recipe, its comments'."""
    if page.suffix == ".yaml":
        comments = "\n".join(line.lstrip("# ") for line in text(page).splitlines() if line.startswith("#"))
        yield from (re.split(r" {3,}", line)[0] for line in comments.splitlines())
        prose = comments
    else:
        for language, block in FENCE.findall(text(page)):
            if not language:
                yield from (line.split(" #")[0].strip() for line in block.splitlines())
        prose = FENCE.sub("", text(page))
    yield from (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose))


def commands(page: Path, tool: str) -> Iterator[list[str]]:
    """The arguments of every call of `tool` on a page, whatever is set before it and piped after it."""
    for line in code(page):
        for part in re.split(r"&&|\|", line):
            words = re.sub(r"^(\w+=\S+ )+", "", part.strip())
            if re.match(rf"(python -m )?{tool}( |$)", words):
                yield shlex.split(words.removeprefix("python -m ").removeprefix(tool))


def calls(tool: str) -> list[Any]:
    return [
        pytest.param(page, words, id=f"{named(page)}: {' '.join([tool, *words])}")
        for page in (*PAGES, *RECIPES)
        for words in {tuple(found): None for found in commands(page, tool)}
    ]


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text(page)))
    for link in links:
        if link.startswith("https://"):
            continue
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text(file)), re.MULTILINE)
            assert anchor in map(slug, headings), link


def test_every_line_on_security_has_a_test_that_is_there() -> None:
    page = text(ROOT / "SECURITY.md")
    lines = [line for line in page.splitlines() if line.startswith("| ")][1:]
    assert len(lines) >= 20
    assert [line for line in lines if "::test_" not in line] == []
    for file, test in re.findall(r"`([\w/]+\.py)::(\w+)`", page):
        assert f"\ndef {test}(" in text(ROOT / file), f"{file}::{test}"


def outputs() -> set[str]:
    """What the stages write, without the names that a matrix fills in."""
    written = [out for stage in DVC_YAML["stages"].values() for out in (*stage["outs"], *stage.get("metrics", ()))]
    return {next(iter(out), "").split("/$")[0] if isinstance(out, dict) else out.split("/$")[0] for out in written}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_file_that_is_named_is_there_or_is_written_by_a_stage(page: Path) -> None:
    roots = {path.name for path in ROOT.iterdir() if path.is_dir()} | WORK_IN_PROGRESS
    rooms = {path.name for path in (ROOT / "src/losslab").iterdir() if path.is_dir()}
    modules = {path.name for path in ROOT.rglob("*.py") if ".venv" not in path.parts}
    written = outputs() | WORK_IN_PROGRESS
    for span in (*code(page), *(block for _, block in FENCE.findall(text(page)))):
        for path in re.findall(r"(?<![\w/.:-])[\w.]+/[\w./-]*", span):
            first, whole = path.split("/")[0], path.rstrip("/.")
            if first not in roots | rooms or Path(path).stem.startswith("my_"):
                continue
            is_written = any(whole == out or whole.startswith(f"{out}/") for out in written)
            places = (ROOT / whole, ROOT / "src/losslab" / whole)
            assert is_written or any(place.exists() for place in places), path
        if re.fullmatch(r"\w+\.py", span) and not span.startswith("my_"):
            assert span in modules, span


@pytest.mark.parametrize(("page", "words"), calls("losslab"))
def test_every_losslab_command_is_one(page: Path, words: tuple[str, ...]) -> None:
    if len(words) < 2:
        assert {*words} <= {command.__name__ for command in command_line.EXAMPLES}
    else:
        assert command_line.parser().parse_args(words).command in command_line.EXAMPLES


@pytest.mark.parametrize(("page", "words"), calls("make"))
def test_every_make_command_is_one(page: Path, words: tuple[str, ...]) -> None:
    for word in words:
        variable, is_set, value = word.partition("=")
        if not is_set:
            assert re.search(rf"^{word}:", MAKEFILE, re.MULTILINE), f"no target {word}"
            continue
        assert f"$({variable})" in MAKEFILE, f"no variable {variable}"
        if variable == "NAME" and value not in ("…", "default"):
            assert (ROOT / f"recipes/{value}.yaml").is_file(), f"no recipe {value}"


@pytest.mark.parametrize(("page", "words"), calls("dvc"))
def test_every_dvc_command_is_one(page: Path, words: tuple[str, ...]) -> None:
    if words == ("--version",):
        return
    arguments = get_main_parser().parse_args(words)
    if words[0] == "repro":
        assert {target.split("@")[0] for target in arguments.targets} <= DVC_YAML["stages"].keys()
    for change in getattr(arguments, "set_param", None) or ():
        settings = yaml.safe_load(text(page if page in RECIPES else ROOT / "params.yaml"))
        for key in change.lstrip("~+").split("=")[0].split("."):
            assert key in settings, change
            settings = settings[key]


@pytest.mark.parametrize("page", [*PAGES, *RECIPES], ids=named)
def test_every_python_command_runs_a_file_of_the_project(page: Path) -> None:
    for line in code(page):
        for stage in re.findall(r"-m pipeline\.(\w+)", line):
            assert stage == "STAGE" or (ROOT / f"pipeline/{stage}.py").is_file(), line
        for script in re.findall(r"^python (?:-\w \w+ )?([\w/]+\.py)", line):
            assert (ROOT / script).is_file(), line
        for test in re.findall(r"-m pytest .*?(tests/\S*)", line):
            assert (ROOT / test).exists(), line


def test_the_commands_are_seen() -> None:
    tools = ("losslab", "make", "dvc")
    seen = {(tool, *words[:1]) for tool in tools for page in PAGES for words in commands(page, tool)}
    assert seen >= {("losslab", "predict"), ("losslab", "decide"), ("make",), ("make", "grid"), ("dvc", "repro")}


def test_the_readme_is_a_page() -> None:
    assert len(text(ROOT / "README.md").splitlines()) <= 150


@pytest.mark.parametrize(
    ("file", "columns"),
    [
        ("train/<data set>/<network>/<loss>/history.csv", history.Row._fields),
        ("evaluate/<data set>/<network>/<loss>/scores.csv", (*scores.INDEX, *scores.COUNTS)),
        ("evaluate/<data set>/<network>/<loss>/boundaries.csv", (*scores.INDEX, *boundary_scores.COLUMNS)),
        *(
            (f"evaluate/<data set>/<network>/<loss>/{name}.csv", (*scores.INDEX, *scores.EXTRAS[name]))
            for name in ("cl_dice", "components", "betti")
        ),
    ],
)
def test_the_columns_of_a_table_are_those_of_the_code(file: str, columns: tuple[str, ...]) -> None:
    [documented] = re.findall(rf"^\| `results/{re.escape(file)}` \| `([\w,]+)`", text(ROOT / "docs/house.md"), re.M)
    assert documented == ",".join(columns)


def house() -> set[str]:
    """Every path in the tree of docs/house.md; rooms end in a slash."""
    [tree] = [block for _, block in FENCE.findall(text(ROOT / "docs/house.md")) if "src/losslab/\n" in block]
    paths, rooms = set(), [""]
    for line in tree.splitlines():
        name = line.split()[0]
        depth = (len(line) - len(line.lstrip())) // 2
        paths.add(rooms[depth] + name)
        rooms[depth + 1 :] = [rooms[depth] + name]
    return paths


def test_every_path_in_the_house_is_there() -> None:
    missing = {path for path in house() if not (ROOT / path).exists()}
    assert not missing
    assert {path for path in house() if (ROOT / path).is_dir()} == {path for path in house() if path.endswith("/")}


def test_every_module_and_room_is_in_the_house() -> None:
    doors = {"__init__.py"}  # a door that only says what the room is for needs no line
    files = [
        path
        for root in (ROOT / "pipeline", ROOT / "src/losslab")
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    modules = {named(path) for path in files if path.name not in doors}
    rooms = {f"{named(path.parent)}/" for path in files}
    assert modules | rooms <= house(), modules | rooms - house()


def test_the_page_on_data_names_every_kind_and_reasons_of_the_code() -> None:
    page = text(ROOT / "docs/data.md")
    assert all(f"`{kind}`" in page for kind in data.KINDS)
    table = page.split("| reason | an image is left out because |")[1].split("\n\n")[0]
    reasons = [reason for row in table.splitlines()[2:] for reason in re.findall(r"`(\w+)`", row.split("|")[1])]
    source = "".join(map(text, (ROOT / "src/losslab/data").rglob("*.py")))
    assert len(reasons) > 15
    assert not [reason for reason in reasons if not re.search(rf'["}}]{reason}"', source)]


def test_the_page_on_the_verdict_explains_every_metric() -> None:
    page = text(ROOT / "docs/verdict.md").lower()
    assert not [name for name, metric in metrics.METRICS.items() if f"**{metric.title.lower()}**" not in page]


def example(heading: str) -> str:
    """The Python of a section of CONTRIBUTING.md."""
    section = text(ROOT / "CONTRIBUTING.md").split(f"## {heading}\n", 1)[1]
    return re.sub(r"^ {3}", "", next(block for language, block in FENCE.findall(section) if language), flags=re.M)


def test_the_network_of_contributing_gives_logits() -> None:
    names: dict[str, Any] = {}
    exec(example("A network"), names)
    network = names["MyNetwork"](in_channels=3, classes=5, width=8)
    assert network(torch.zeros(2, 3, 20, 16)).shape == (2, 5, 20, 16)


def test_the_metric_of_contributing_is_one_minus_recall() -> None:
    entries = eval(f"{{{example('A metric')}}}", vars(metrics))
    counts = np.array([3, 2, 1, 10]).reshape(1, 1, 1, 4)  # tp, fp, fn, tn
    draws = Draws(counts, np.zeros((1, 1, 1, 5)), unweighted)
    assert entries["missed"].value(draws).tolist() == [[0.25]]


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load(text(ROOT / "CITATION.cff"))
    project = tomllib.loads(text(ROOT / "pyproject.toml"))["project"]
    assert citation["version"] == project["version"] == __version__
    assert citation["license"] == project["license"] == "MIT"
    assert text(ROOT / "LICENSE").startswith("MIT License")
