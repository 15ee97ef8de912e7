"""Fetch the weights that a network starts from: `python -m pipeline.weights NETWORK` fills data/weights/NETWORK.

Most networks start from none; then the folder says so, and training opens no connection either way.
"""

import json
import sys
import tempfile
from pathlib import Path

from losslab.errors import exit_on_error
from losslab.results import paths
from losslab.results.files import atomic_folder
from losslab.settings.plans import WeightsPlan


def main() -> None:
    name = sys.argv[1]
    pretrained = WeightsPlan.read(name).pretrained
    with atomic_folder(paths.WEIGHTS / name) as folder:
        (folder / "source.json").write_text(json.dumps(pretrained, indent=2) + "\n", encoding="utf-8")
        if pretrained is not None:
            # Here, since torch takes seconds to import.
            from losslab.data.sources.weights import fetch_weights
            from losslab.networks.pretrained import write_weights

            with tempfile.TemporaryDirectory(prefix="losslab-") as work:
                source = pretrained["source"]
                file = fetch_weights(source, pretrained["sha256"], pretrained["member"], Path(work))
                write_weights(folder / paths.weights_file(name).name, file, source)


if __name__ == "__main__":
    exit_on_error(main)
