"""The kinds of data sets together."""

import os
import subprocess
import sys

from projects import ROOT


def test_no_kind_of_data_set_imports_torch() -> None:
    code = """if True:
        import sys
        from losslab.data import KINDS, registry
        assert len([registry.resolve(kind) for kind in KINDS]) == len(KINDS) > 0
        assert "torch" not in sys.modules"""
    subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT / "src")}, check=True)
