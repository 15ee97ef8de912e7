"""The command `losslab`, or `python -m losslab`, for what is not a stage of the pipeline."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from losslab.errors import InputError, exit_on_error

# Modules are imported by the command that needs them: `--help` is to take no time.


def check() -> None:
    """check params.yaml, and put losses from elsewhere to the test"""
    from losslab import data, losses, networks
    from losslab.settings import overrides, params
    from losslab.settings.plans import cells, seeds_of

    settings = params.load({"datasets": data.registry, "networks": networks.registry, "losses": losses.registry})
    runs = sum(len(seeds_of(cell, settings.train.seeds, settings.grid)) for cell in cells(settings.grid))
    for loss in settings.grid.losses:
        overrides.train_of(settings, loss)
    print(f"{params.PARAMS}: correct; {runs} runs in the grid")
    if sentence := overrides.of_recipes(settings):
        print(sentence)
    _build({name: settings.networks[name] for name in settings.grid.networks})
    _examine({name: settings.losses[name] for name in settings.grid.losses})


def _build(specs: dict[str, dict[str, Any]]) -> None:
    """Say what is guessed of each network from elsewhere, and try it.

    Raises:
        InputError: one of them does not do.
    """
    import torch

    from losslab import networks

    for name, spec in specs.items():
        if ":" in spec["kind"]:
            print(f"\nnetworks.{name}: {json.dumps(spec)}")
            network = networks.registry.build(spec, in_channels=3, classes=2)
            network(torch.zeros(2, 3, 64, 64))
            size = sum(parameter.numel() for parameter in network.parameters())
            print(f"  ok    images [2, 3, 64, 64] to logits [2, 2, 64, 64]: {size:,} parameters")


def _examine(specs: dict[str, dict[str, Any]]) -> None:
    """Say what the battery finds of each loss from elsewhere.

    Raises:
        InputError: one of them is wrong.
    """
    from losslab import losses
    from losslab.losses import battery

    wrong = []
    for name, spec in specs.items():
        if not battery.is_foreign(spec):
            continue
        print(f"\nlosses.{name}: {json.dumps(spec)}")
        for finding in battery.examine(losses.registry.build(spec), battery.classes_of(spec)):
            print(f"  {finding}", flush=True)
            wrong += [name] if finding.state == "wrong" else []
    if wrong:
        raise InputError(f"params.yaml: losses.{wrong[0]}: is not to be trained with, see above")


def data(path: Path, write: bool, name: str | None, image_size: int | None, sheet: Path | None) -> None:
    """look at a data set: what it is, its entry for params.yaml"""
    from losslab.report.inspection import entry, survey
    from losslab.settings import params

    called = name or entry.name_of(path)
    picture = sheet or Path(f"{called}.png")
    lines, spec = survey.survey(path, image_size, picture)
    print("\n".join([*lines, f"picture:     {picture}"]))
    if write:
        entry.insert(params.PARAMS, called, spec)
        print(f"entry:       datasets.{called} in {params.PARAMS}; name it in grid.datasets")
    else:
        print(
            f"entry:       put it under datasets in {params.PARAMS}, or use --write\n\n{entry.text(called, spec)}",
            end="",
        )


def decide(**_: Any) -> None:
    """add seeds to the losses in the race until it is decided which is best"""
    if not Path("pipeline/decide.py").is_file():
        raise InputError("pipeline/decide.py: not found; run this where dvc.yaml and params.yaml are")
    os.execv(sys.executable, [sys.executable, "-m", "pipeline.decide", *sys.argv[2:]])


def init() -> None:
    """start a comparison in a repository of one's own: pipeline, params.yaml, ignore files, allow-list"""
    from losslab.settings import starting

    print("\n".join(starting.start(Path())))
    print("what to compare stands in params.yaml; `losslab check` checks it, `dvc repro` runs it")


def losses() -> None:
    """list the kinds of loss: options, defaults, references"""
    from losslab.losses import catalogue

    print(catalogue.describe())


def predict(threshold: float | None, **options: Any) -> None:
    """masks and overlays of images, by a trained model"""
    if threshold is not None and not 0 < threshold < 1:
        raise InputError(f"--threshold: {threshold} is not between 0 and 1")
    from losslab.inference import predict

    predict.run(threshold=threshold, **options)


def track() -> None:
    """bring MLflow up to what the results say"""
    from losslab.settings.plans import ReportPlan
    from losslab.tracking import sync

    if sync.is_off():
        raise InputError("LOSSLAB_MLFLOW is off; unset it to have MLflow written")
    if not sync.everything(ReportPlan.read().params):
        raise InputError("MLflow does not have everything; see the warning")


EXAMPLES = {
    check: "losslab check",
    data: """\
losslab data ../cells
losslab data export.zip --write --name cells --image-size 128""",
    decide: """\
losslab decide
losslab decide --budget 2h --most-seeds 12 --jobs 4""",
    init: "git init && dvc init && losslab init",
    losses: "losslab losses | less",
    predict: """\
losslab predict photo.jpg --model results/train/shapes/unet/ce_dice/seed0.safetensors --out masks
losslab predict photos/ http://host/dog.jpg --model M.safetensors --out masks --coco masks.json
losslab predict photos/ --model results/train/shapes/unet/ce_dice/seed0.safetensors --out masks \\
  --compare results/train/shapes/unet/*/seed0.safetensors""",
    track: """\
losslab track
MLFLOW_TRACKING_URI=http://127.0.0.1:5000 losslab track""",
}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="losslab",
        description="What is not a stage of the pipeline. All but `predict` are run where params.yaml is.",
        epilog="`losslab COMMAND --help` shows a command's options, with examples.",
    )
    commands = top.add_subparsers(title="commands", metavar="COMMAND")
    for command, example in EXAMPLES.items():
        words = (command.__doc__ or "").strip()
        indented = "\n".join(f"  {line}" for line in example.splitlines())
        subparser = commands.add_parser(
            command.__name__, help=words, description=f"{words[0].upper()}{words[1:]}.",
            epilog=f"examples:\n{indented}", formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        subparser.set_defaults(command=command)
        if command is data:
            _add_data_options(subparser)
        if command is predict:
            _add_predict_options(subparser)
        if command is decide:
            add_decide_options(subparser)
    return top


def _add_data_options(command: argparse.ArgumentParser) -> None:
    command.description = """\
Looks at a folder, a zip or tar archive, or a file in COCO's format: images with mask files (as Pascal VOC, Cityscapes,
CVAT and others have them), polygons of YOLO, outlines of COCO. Says in a few lines what is there, and writes a picture
of images with their masks, to be checked by eye. Classes of label maps have no names: give them yours in the entry."""
    command.add_argument("path", type=Path, metavar="PATH", help="a folder, an archive or a JSON file")
    command.add_argument("--write", action="store_true", help="put the entry into params.yaml")
    command.add_argument("--name", help="what the entry is called (the name of the folder)")
    command.add_argument("--image-size", type=int, help="image_size of the entry")
    command.add_argument("--sheet", type=Path, metavar="FILE.png", help="where the picture goes (NAME.png)")


def _add_predict_options(command: argparse.ArgumentParser) -> None:
    command.description = """\
Masks and overlays of images, by a trained model, at each image's own size.

For an image NAME the output folder gets NAME.mask.png (one class: 0 and 255; several: the number of the class, from 1
in the model's order, 0 for none; where classes overlap, the most probable) and NAME.overlay.png.
Images that cannot be read are named at the end, with exit status 1; the others are done."""
    command.add_argument("images", nargs="+", metavar="IMAGE", help="a file, a folder, or the URL of an image")
    command.add_argument(
        "--model", type=Path, required=True, help="results/train/DATASET/NETWORK/LOSS/seedN.safetensors"
    )
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for masks and overlays")
    command.add_argument(
        "--compare", type=Path, nargs="+", default=(), metavar="MODEL",
        help="further models: NAME.compare.png shows all of them side by side",
    )  # fmt: skip
    command.add_argument(
        "--coco", type=Path, metavar="FILE.json",
        help="write all masks as COCO results too: one RLE per image and class, with the mean probability as score; "
        "image_id is the number that the file's name is, or the name; category_id counts from 1",
    )  # fmt: skip
    command.add_argument("--planes", action="store_true", help="write each class by itself too: NAME.CLASS.png")
    command.add_argument("--threshold", type=float, help="in place of the one tuned on validation (0 to 1)")


def add_decide_options(command: argparse.ArgumentParser) -> None:
    """The options of `losslab decide`, which are those of the program that it is."""
    command.description = """\
Adds a seed at a time to each loss that may still be the best, through grid.seeds of params.yaml and `dvc repro`, until
the verdict is `best` or `good enough`. A loss that is worse than another gets no more seeds. Killed, it goes on where
it was when it is run again; what it ends with is a params.yaml and a dvc.lock to commit."""
    command.add_argument("--budget", metavar="TIME", help="begin no round that would end after this: 2h, 90m, 1h30m")
    command.add_argument("--most-seeds", type=int, metavar="N", help="that a loss may have (compare.most_seeds)")
    jobs = "cells that are trained side by side (one a processor)"
    command.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N", help=jobs)


def run() -> None:
    """The entry point: what a user can mend is one line."""
    exit_on_error(main)


def main() -> None:
    """Run the command that the command line names, or list the commands."""
    top = parser()
    options = vars(top.parse_args())
    options.pop("command", top.print_help)(**options)


if __name__ == "__main__":
    run()
