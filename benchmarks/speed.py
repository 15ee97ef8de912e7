"""Every figure of the README's section *Speed*, beside its baseline and its goal: `make bench` runs this.

    python benchmarks/speed.py [--only training losses] [--rounds 5] [--coco FOLDER]

Prints the table as Markdown and keeps it in `benchmarks/figures.json`, where pieces that were not asked for stay as
they are if they are of the same machine. The exit status says whether a goal is missed.
"""

import argparse
import json
import os
import subprocess
import sys
import traceback
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

from timing import ROOT, Figure, Goal, Skipped, machine

PIECES = {
    "training": "training_step",
    "gpu": "gpu",
    "loading": "loading",
    "extraction": "extract",
    "losses": "losses",
    "evaluation": "evaluation",
    "startup": "startup",
    "repro": "repro",
    "report": "rendering",
    "overhead": "overhead",
}
"""Piece → the module whose `figures(options)` measures it."""

Found = dict[str, list[Figure] | str]
"""Piece → its figures, or why there are none."""


@dataclass(frozen=True)
class Options:
    rounds: int
    coco: Path | None


def measure(piece: str, options: Options) -> list[Figure] | str:
    os.chdir(ROOT)
    try:
        found: list[Figure] = import_module(PIECES[piece]).figures(options)
        return found
    except Skipped as reason:
        return f"not measured: {reason}"
    except Exception as error:  # the other pieces are worth having
        traceback.print_exc()
        return f"failed: {type(error).__name__}: {error}"


def table(pieces: Found) -> str:
    lines = ["| what | ours | baseline | ours ÷ baseline | goal | met |", "|---|---|---|---|---|---|"]
    for piece, found in pieces.items():
        if isinstance(found, str):
            lines.append(f"| {piece} | {found} | | | | |")
            continue
        for row in found:
            goal, met = "–", "–"
            if row.goal:
                goal = f"{row.goal.sign} {row.goal.bound:g} {'×' if row.goal.of == 'ratio' else row.unit}"
                met = "yes" if row.met else "**no**"
            theirs = f"{number(row.theirs)} {row.unit} ({row.baseline})"
            ours = f"{number(row.ours)} {row.unit}"
            lines.append(f"| {row.what} | {ours} | {theirs} | {number(row.ratio)} × | {goal} | {met} |")
    return "\n".join(lines)


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def read(path: Path) -> Found:
    """What earlier runs on this machine left."""
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if kept.get("machine") != machine():
        return {}
    return {
        piece: found
        if isinstance(found, str)
        else [Figure(**row | {"goal": row["goal"] and Goal(**row["goal"])}) for row in found]
        for piece, found in kept["pieces"].items()
    }


def write(path: Path, pieces: Found) -> None:
    plain = {
        piece: found if isinstance(found, str) else list(map(asdict, found))
        for piece in PIECES
        if (found := pieces.get(piece))
    }
    path.write_text(
        json.dumps({"machine": machine(), "pieces": plain}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PIECES, default=list(PIECES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--coco", type=Path, help="a folder in COCO's layout, for the piece extraction")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/figures.json")
    arguments = parser.parse_args()
    out, coco = arguments.out.resolve(), arguments.coco and arguments.coco.resolve()
    if len(arguments.only) == 1:
        [piece] = arguments.only
        write(out, read(out) | {piece: measure(piece, Options(arguments.rounds, coco))})
    else:
        # A process for each: what one imports, and the threads it starts, are not the next one's.
        options = ["--rounds", str(arguments.rounds), "--out", str(out), *(["--coco", str(coco)] if coco else [])]
        for piece in arguments.only:
            print(f"{piece} …", file=sys.stderr, flush=True)
            command = [sys.executable, "-W", "ignore", __file__, "--only", piece, *options]
            subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    found = read(out)
    print(f"{machine()['processors']} × {machine()['processor']}, torch {machine()['torch']}\n\n{table(found)}")
    bad = [
        piece for piece in arguments.only if isinstance(rows := found.get(piece, "failed"), str) and "failed" in rows
    ]
    bad += [
        row.what
        for piece in arguments.only
        for row in found.get(piece, [])
        if not isinstance(row, str) and row.met is False
    ]
    sys.exit(f"failed or missed: {'; '.join(bad)}" if bad else 0)


if __name__ == "__main__":
    main()
