"""Boundary counts and Hausdorff 95 against MONAI, SciPy and brute force, on random and on real masks."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics import compute_hausdorff_distance, compute_surface_dice
from scipy.ndimage import binary_erosion, distance_transform_edt
from torch import Tensor

from losslab.data import purdue_shapes
from losslab.errors import InputError
from losslab.evaluation import boundaries
from losslab.evaluation.boundaries import compare_boundaries
from losslab.evaluation.formulas import boundary_f
from losslab.results import boundary_scores

SIZES = st.tuples(*(st.integers(1, n) for n in (3, 2, 9, 9)))


def blobs(size: tuple[int, ...], seed: int, share: float) -> tuple[Tensor, Tensor]:
    """Two boolean masks that overlap by chance; some of them empty, some full."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.rand(size, generator=generator) < share for _ in range(2))  # type: ignore[return-value]


def reference(predicted: Tensor, target: Tensor, tolerance: float) -> list[float]:
    """One pair `[H, W]`, by SciPy's erosion and distance transform."""
    edges = [mask.numpy() ^ binary_erosion(mask.numpy()) for mask in (predicted, target)]
    lengths = [int(edge.sum()) for edge in edges]
    if not all(lengths):
        distance = float(np.hypot(*predicted.shape)) if any(lengths) else np.nan
        return [lengths[0], 0, lengths[1], 0, distance]
    away = [distance_transform_edt(~other)[edge] for edge, other in (edges, edges[::-1])]
    near = [int((distances <= tolerance).sum()) for distances in away]
    return [lengths[0], near[0], lengths[1], near[1], max(np.percentile(distances, 95) for distances in away)]


@given(SIZES, st.integers(0, 2**20), st.floats(0, 1), st.sampled_from([0, 1, 1.5, 2, 5]))
@settings(max_examples=150, deadline=None)
def test_random_masks_give_what_scipy_gives(size: tuple[int, ...], seed: int, share: float, tolerance: float) -> None:
    predicted, target = blobs(size, seed, share)
    ours = compare_boundaries(predicted, target, tolerance)
    for n, c in np.ndindex(size[:2]):
        np.testing.assert_allclose(ours[n, c], reference(predicted[n, c], target[n, c], tolerance), rtol=1e-12)


@given(SIZES, st.integers(0, 2**20), st.floats(0, 1), st.floats(0, 4))
@settings(max_examples=100, deadline=None)
def test_roles_mirrors_and_quarter_turns(size: tuple[int, ...], seed: int, share: float, tolerance: float) -> None:
    predicted, target = blobs(size, seed, share)
    ours = compare_boundaries(predicted, target, tolerance)
    swapped = compare_boundaries(target, predicted, tolerance)
    assert torch.equal(swapped[..., [2, 3, 0, 1, 4]].nan_to_num(-1), ours.nan_to_num(-1))
    for turn in (lambda m: m.flip(2), lambda m: m.flip(3), lambda m: m.transpose(2, 3), lambda m: m.rot90(1, (2, 3))):
        turned = compare_boundaries(turn(predicted), turn(target), tolerance)
        torch.testing.assert_close(turned, ours, equal_nan=True)
    wider = compare_boundaries(predicted, target, tolerance + 1)
    assert (wider[..., [1, 3]] >= ours[..., [1, 3]]).all(), "a wider tolerance finds no less"
    assert (ours[..., 1] <= ours[..., 0]).all()
    f = boundary_f(ours.numpy())
    assert ((f >= 0) & (f <= 1) | np.isnan(f)).all()
    exact = compare_boundaries(target, target, tolerance).numpy()
    present = target.any(-1).any(-1).numpy()
    assert (boundary_f(exact)[present] == 1).all()
    assert (exact[present][:, 4] == 0).all()


@pytest.fixture(scope="module")
def masks(shapes: Path) -> Tensor:
    """Real masks, boolean `[20, 5, 64, 64]`."""
    return torch.from_numpy(purdue_shapes.read_file(shapes / "PurdueShapes5MultiObject-20-test.gz")[1]).bool()


@pytest.mark.filterwarnings("ignore:the .* is all 0")
def test_real_masks_give_what_monai_gives(masks: Tensor) -> None:
    predicted = masks.roll((3, -2), (2, 3)) ^ (torch.rand(masks.shape, generator=torch.manual_seed(0)) < 0.01)
    both = masks.any(-1).any(-1) & predicted.any(-1).any(-1)
    ours = compare_boundaries(predicted, masks, 2)
    theirs = compute_hausdorff_distance(predicted, masks, include_background=True, percentile=95)
    torch.testing.assert_close(ours[both][:, 4], theirs[both].double(), rtol=1e-6, atol=1e-6)
    theirs = compute_surface_dice(predicted, masks, [2.0] * masks.shape[1], include_background=True)
    predicted_size, predicted_near, true_size, true_near, _ = ours[both].T
    surface_dice = (predicted_near + true_near) / (predicted_size + true_size)
    torch.testing.assert_close(surface_dice, theirs[both].double(), rtol=1e-6, atol=1e-6)
    assert both.sum() > 20


def test_by_hand() -> None:
    truth, guess = torch.zeros(1, 3, 6, 8).bool(), torch.zeros(1, 3, 6, 8).bool()
    truth[0, 0, 1:5, 1:5] = True  # 4 × 4: a boundary of 12
    guess[0, 0, 1:5, 2:6] = True  # the same, one to the right
    truth[0, 1, 2, 2] = True  # missed
    ours = compare_boundaries(guess, truth, 0).numpy()
    # The two rings share 3 pixels of each upper and lower side.
    assert ours[0, 0].tolist() == [12, 6, 12, 6, 1]
    assert ours[0, 1].tolist() == [0, 0, 1, 0, 10], "missed: the diagonal of 6 × 8"
    assert ours[0, 2, :4].tolist() == [0, 0, 0, 0]
    assert np.isnan(ours[0, 2, 4]), "in neither: left out"
    assert boundary_f(ours)[0, :2].tolist() == [0.5, 0]
    assert np.isnan(boundary_f(ours)[0, 2])
    assert boundary_f(compare_boundaries(guess, truth, 1).numpy())[0, 0] == 1


def test_long_boundaries_are_done_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    predicted, target = blobs((2, 2, 30, 40), 3, 0.3)
    whole = compare_boundaries(predicted, target, 1.5)
    monkeypatch.setattr(boundaries, "CHUNK", 100)
    assert torch.equal(compare_boundaries(predicted, target, 1.5), whole)


def test_the_table_comes_back_as_it_was(tmp_path: Path) -> None:
    predicted, target = blobs((4, 2, 8, 8), 1, 0.1)
    values = {
        seed: {rule: compare_boundaries(predicted, target, seed).numpy() for rule in ("fixed", "tuned")}
        for seed in (0, 3)
    }
    for name in ("a.csv", "b.csv"):
        boundary_scores.write(tmp_path / name, "wxyz", ["disk", "star"], values)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    text = (tmp_path / "a.csv").read_text(encoding="utf-8")
    assert text.startswith("seed,image,class,threshold,predicted,predicted_near,true,true_near,hd95\n0,w,disk,fixed,")
    ours = boundary_scores.read(tmp_path / "a.csv")
    assert (ours.seeds, ours.images, ours.classes) == ((0, 3), tuple("wxyz"), ("disk", "star"))
    np.testing.assert_allclose(ours.values["tuned"][1], values[3]["tuned"], rtol=1e-6)
    (tmp_path / "a.csv").write_text(text.replace(",tuned,", ",fixed,"), encoding="utf-8")
    with pytest.raises(InputError, match=r"a\.csv: damaged"):
        boundary_scores.read(tmp_path / "a.csv")
