"""The stages of dvc.yaml, one thin file each, run as `python -m pipeline.STAGE` where dvc.yaml is."""

import sys
from pathlib import Path

# The code beside these files, not the installed copy: DVC runs queued experiments in a folder of their own.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))
