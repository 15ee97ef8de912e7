"""mUNet against the class that it replays, DLStudio's: `make test-peer` installs that and runs this."""

import copy
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from projects import ROOT
from torch import nn

from losslab import networks

PEER = ROOT / ".peer"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PEER.is_dir(), reason="DLStudio is not installed in .peer: run `make test-peer`"),
]

Pair = tuple[nn.Module, nn.Module]


@pytest.fixture(scope="module")
def peer() -> Any:
    """The class DLStudio, imported with an empty module in place of the message boxes that it asks for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(PEER)
        patch.setitem(sys.modules, "pymsgbox", types.ModuleType("pymsgbox"))
        import DLStudio

        assert DLStudio.__version__ == "2.5.8"
        return DLStudio.DLStudio


def pair(peer: Any, skip_connections: bool, depth: int = 16) -> Pair:
    """DLStudio's network and ours, made from the same seed."""
    torch.manual_seed(0)
    theirs = peer.SemanticSegmentation.mUNet(skip_connections=skip_connections, depth=depth)
    torch.manual_seed(0)
    return theirs, networks.build("munet", classes=5, depth=depth, skip_connections=skip_connections)


def images(seed: int, side: int = 64) -> torch.Tensor:
    return torch.randint(0, 256, (4, 3, side, side), generator=torch.Generator().manual_seed(seed)).float()


@pytest.mark.parametrize("depth", [2, 8, 16])
def test_one_seed_gives_both_the_same_weights_by_the_same_names(peer: Any, depth: int) -> None:
    theirs, ours = (network.state_dict() for network in pair(peer, True, depth))
    assert list(theirs) == list(ours)
    assert all(torch.equal(theirs[name], ours[name]) for name in theirs)


@pytest.mark.parametrize("skip_connections", [True, False])
@pytest.mark.parametrize("depth", [8, 16])
def test_outputs_gradients_and_statistics_are_equal(peer: Any, skip_connections: bool, depth: int) -> None:
    theirs, ours = pair(peer, skip_connections, depth)
    for network in (theirs, ours):
        network.train()
    expected, outputs = theirs(images(1)), ours(images(1))
    torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-5)
    if skip_connections:  # without them DLStudio's own has no gradient: it writes into a map that autograd needs
        for output in (expected, outputs):
            (output / 100).square().mean().backward()
        for (name, theirs_parameter), (_, parameter) in zip(
            theirs.named_parameters(), ours.named_parameters(), strict=True
        ):
            if theirs_parameter.grad is None:
                assert parameter.grad is None, name
            else:
                torch.testing.assert_close(parameter.grad, theirs_parameter.grad, msg=name)
    # With the running statistics of the batch above.
    for network in (theirs, ours):
        network.eval()
    torch.testing.assert_close(ours(images(2)), theirs(images(2)), rtol=0, atol=1e-5)


def test_a_state_dict_of_either_loads_in_the_other(peer: Any, tmp_path: Path) -> None:
    for one, other in (pair(peer, True), pair(peer, True)[::-1]):
        one.train()
        one(images(3))  # running statistics that are not those of a new network
        torch.save(one.state_dict(), tmp_path / "saved.pt")
        other = copy.deepcopy(other)
        assert other.load_state_dict(torch.load(tmp_path / "saved.pt", weights_only=True))
        one.eval()
        other.eval()
        torch.testing.assert_close(other(images(4)), one(images(4)), rtol=0, atol=1e-5)
