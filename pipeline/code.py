"""Check params.yaml, fingerprint the code that each stage instance uses, remove what the grid no longer names."""

from pathlib import Path

import yaml

from losslab import params, runs
from losslab.closure import Project, stage_fingerprints
from losslab.errors import exit_on_error
from losslab.files import atomic_folder


def main() -> None:
    settings = params.check()
    raw = yaml.safe_load(params.PARAMS.read_text())
    with atomic_folder(runs.RESULTS / "code") as out:
        for instance, fingerprint in stage_fingerprints(Project([Path("src"), Path()]), raw).items():
            path = out / instance
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"{fingerprint}\n")
    runs.prune(settings)


if __name__ == "__main__":
    exit_on_error(main)
