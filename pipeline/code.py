"""Check all of params.yaml, then fingerprint the code that each stage instance uses."""

from pathlib import Path

import yaml

from losslab import params
from losslab.closure import Project, stage_fingerprints
from losslab.errors import exit_on_error
from losslab.files import atomic_folder


def main() -> None:
    params.check()
    raw = yaml.safe_load(params.PARAMS.read_text())
    with atomic_folder(Path("results/code")) as out:
        for instance, fingerprint in stage_fingerprints(Project([Path("src"), Path()]), raw).items():
            path = out / instance
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"{fingerprint}\n")


if __name__ == "__main__":
    exit_on_error(main)
