"""The stages of dvc.yaml, one thin file each, run as `python -m pipeline.STAGE` where dvc.yaml is.

SIGINT, SIGTERM and SIGHUP end a stage at any time: what it was writing is discarded, its checkpoints stay. So does the
end of the DVC process that started it: a stage that lives on would write its outputs beneath the next `dvc repro`.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType

# The code beside these files, not the installed copy: DVC runs queued experiments in a folder of their own.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

NO_TELEMETRY = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""Environment variables by which the tools send nothing to where the user did not name; the Makefile has them too."""

PROGRESS = "LOSSLAB_PROGRESS"
"""Environment variable that names a folder: a training writes into it how many epochs are done."""


def _stop(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)  # a second one ends the process at once
    os.write(2, b"\nstopped; run again to go on\n" if os.isatty(2) else b"stopped; run again to go on\n")
    sys.exit(128 + number)


def end_with_parent() -> None:
    """End this process, as SIGTERM would, once the process that started it is gone."""

    def watch(parent: int) -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, args=(os.getppid(),), daemon=True).start()


for variable, value in NO_TELEMETRY.items():
    os.environ.setdefault(variable, value)
# Here, because the imports of a stage take seconds.
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    if signal.getsignal(number) is not signal.SIG_IGN:
        signal.signal(number, _stop)
if "DVC_STAGE" in os.environ:
    end_with_parent()
