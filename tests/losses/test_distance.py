"""Signed distances against scipy's, and how losses share them."""

import numpy as np
import pytest
import torch
from loss_cases import batch, kind_loss
from scipy.ndimage import distance_transform_edt

from losslab.losses.shared import distance
from losslab.losses.shared.distance import signed_distances


@pytest.mark.parametrize("chunk", [1, 2**24])
def test_distances_are_the_exact_euclidean_ones(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distance, "CHUNK", chunk)
    masks = torch.rand(3, 2, 13, 9, generator=torch.Generator().manual_seed(0)) < 0.1
    expected = [
        [distance_transform_edt(~plane) - distance_transform_edt(plane) for plane in image] for image in masks.numpy()
    ]
    distances = signed_distances(masks.to(torch.uint8))
    assert distances.dtype == torch.float32
    np.testing.assert_allclose(distances.numpy(), np.array(expected), rtol=1e-6)


@pytest.mark.parametrize("fill", [0, 1])
def test_a_plane_without_an_edge_has_distance_0(fill: int) -> None:
    assert (signed_distances(torch.full((1, 2, 4, 4), fill)) == 0).all()


def test_the_terms_of_a_sum_share_the_maps() -> None:
    logits, target = batch()
    loss = kind_loss(
        "sum",
        terms=[
            {"loss": {"kind": "dice"}},
            {"loss": {"kind": "sum", "terms": [{"loss": {"kind": "boundary"}, "weight": 0.1}]}},
            {"loss": {"kind": "hausdorff"}, "weight": 0.01},
        ],
    )
    maps = loss.target_maps(target)
    torch.testing.assert_close(maps, signed_distances(target))
    alone = [kind_loss(kind)(logits, target) for kind in ("dice", "boundary", "hausdorff")]
    expected = alone[0] + 0.1 * alone[1] + 0.01 * alone[2]
    torch.testing.assert_close(loss(logits, target, maps), expected)
    # The maps that are given are the ones used.
    torch.testing.assert_close(loss(logits, target, 0 * maps), alone[0])


def test_losses_without_distances_ask_for_no_maps() -> None:
    _, target = batch()
    assert kind_loss("dice").target_maps(target) is None
    assert kind_loss("sum").target_maps(target) is None
