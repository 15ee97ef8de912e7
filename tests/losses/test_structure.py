"""Losses of edges and thin structures against transcriptions of the papers, and weights of classes."""

import pytest
import torch
from loss_cases import batch, kind_loss
from torch import Tensor
from torch.nn.functional import conv2d

from losslab.losses.shared.skeleton import soft_skeleton


def boundary_dou_of_the_paper(p: Tensor, t: Tensor) -> Tensor:
    """Sun et al., class by class: α from the pixels whose cross of five is not all of the truth."""
    values = []
    for c in range(t.shape[1]):
        score, target = p[:, c], t[:, c]
        cross = torch.tensor([[0.0, 1, 0], [1, 1, 1], [0, 1, 0]]).view(1, 1, 3, 3).to(t.dtype)
        around = conv2d(target.unsqueeze(1), cross, padding=1).squeeze(1) * target
        edge, area = ((around > 0) & (around < 5)).sum(), (target > 0).sum()
        alpha = min(2 * (1 - float(edge) / float(area)) - 1, 0.8)
        both = (score * target).sum()
        squares = (score * score).sum() + (target * target).sum()
        values.append((squares - 2 * both) / (squares - (1 + alpha) * both))
    return torch.stack(values).mean()


def blocks(side: int = 24) -> Tensor:
    """Two images of three classes: squares of sides 3, 9 and 20, of α −0.78 to 0.62."""
    target = torch.zeros(2, 3, side, side, dtype=torch.float64)
    for c, size in enumerate((3, 9, 20)):
        target[:, c, 2 : 2 + size, 1 : 1 + size] = 1
    return target


def test_boundary_dou_is_the_papers() -> None:
    target = blocks()
    logits = torch.randn(target.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    logits.requires_grad_()
    ours, papers = (
        kind_loss("boundary_dou", smooth=0)(logits, target),
        boundary_dou_of_the_paper(logits.sigmoid(), target),
    )
    torch.testing.assert_close(ours, papers)
    torch.testing.assert_close(*(torch.autograd.grad(value, logits)[0] for value in (ours, papers)))


@pytest.mark.filterwarnings("ignore")
def test_cl_dice_is_monais() -> None:
    from monai.losses import SoftclDiceLoss

    theirs = SoftclDiceLoss(iter_=3, sigmoid=True, smooth=1e-9)
    for seed in range(3):
        logits, target = batch(images=1, classes=1, size=16, seed=seed)  # it pools the classes of an image
        logits = (2 * logits).requires_grad_()
        expected = theirs(logits, target.float())
        value = kind_loss("cl_dice")(logits, target)
        torch.testing.assert_close(value, expected)
        torch.testing.assert_close(
            *(torch.autograd.grad(v, logits)[0] for v in (value, expected)), rtol=1e-4, atol=1e-7
        )


def bar(width: int) -> Tensor:
    """A bar of 13 pixels across an image of 17, of some width."""
    planes = torch.zeros(1, 1, 17, 17)
    planes[..., 8 - width // 2 : 8 + width // 2 + 1, 2:15] = 1
    return planes


@pytest.mark.parametrize("width", [1, 3, 5])
def test_a_bars_skeleton_is_its_middle_line(width: int) -> None:
    line = soft_skeleton(bar(width), 3)
    assert (line[..., 8, 5:12] == 1).all()
    assert (line[..., [7, 9], 5:12] == 0).all()
    assert (line <= bar(width)).all()


def test_a_gap_costs_skeleton_losses_more_than_a_fringe_of_as_many_pixels() -> None:
    truth = bar(5)
    gap, fringe = truth.clone(), truth.clone()
    gap[..., 6:11, 8] = 0
    fringe[..., 6, 5:10] = 0
    assert gap.sum() == fringe.sum()
    for kind in ("cl_dice", "skeleton_recall"):
        loss = kind_loss(kind)
        assert loss(20 * (2 * gap - 1), truth) > 1.5 * loss(20 * (2 * fringe - 1), truth), kind
    dice = kind_loss("dice")
    torch.testing.assert_close(dice(20 * (2 * gap - 1), truth), dice(20 * (2 * fringe - 1), truth))


def test_skeleton_recall_is_the_share_of_the_tube_that_is_missed() -> None:
    truth = bar(1)  # its own skeleton, and within it the tube
    logits = torch.where(torch.arange(17) < 6, 20.0, -20.0).expand(1, 1, 17, 17)
    assert float(kind_loss("skeleton_recall")(logits, truth)) == pytest.approx(9 / 13)
    assert float(kind_loss("skeleton_recall")(torch.full_like(logits, 20), truth)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("kind", ["dice", "iou", "tversky", "focal_tversky"])
@pytest.mark.parametrize("reduce", ["sample", "batch"])
def test_class_weights_weigh_the_mean_over_classes(kind: str, reduce: str) -> None:
    logits, target = batch()
    weights = [1.0, 2.0, 3.0, 0.5]
    planes = [kind_loss(kind, reduce=reduce)(logits[:, [c]], target[:, [c]]) for c in range(4)]
    expected = sum(w * value for w, value in zip(weights, planes, strict=True)) / sum(weights)
    torch.testing.assert_close(kind_loss(kind, reduce=reduce, class_weights=weights)(logits, target.float()), expected)


def test_class_weights_with_empty_masks_skipped_are_those_of_the_present() -> None:
    logits, target = batch()
    target[:, 1] = 0
    value = kind_loss("dice", empty="skip", class_weights=[1, 2, 3, 0.5])(logits, target.float())
    kept = [0, 2, 3]
    torch.testing.assert_close(
        value, kind_loss("dice", class_weights=[1, 3, 0.5])(logits[:, kept], target[:, kept].float())
    )


def test_focal_without_focus_weighs_classes_as_cross_entropy_does() -> None:
    logits, target = batch()
    weights = [1, 2, 3, 4, 5]
    focal = kind_loss("focal", activation="softmax", gamma=0, alpha=None, class_weights=weights)
    torch.testing.assert_close(focal(logits, target), kind_loss("cross_entropy", class_weights=weights)(logits, target))


def test_focal_of_planes_weighs_each_plane() -> None:
    logits, target = batch()
    planes = [kind_loss("focal")(logits[:, [c]], target[:, [c]]) for c in range(4)]
    value = kind_loss("focal", class_weights=[1, 2, 3, 4])(logits, target.float())
    torch.testing.assert_close(value, sum((c + 1) * plane for c, plane in enumerate(planes)) / 10)


def test_a_soft_truth_is_the_metric_losss_least() -> None:
    _, target = batch(size=12)
    loss = kind_loss("jaccard_metric", boundary_smoothing=0.4)
    from losslab.losses.overlap.jaccard_metric import around

    truth = target.float()
    soft = truth.lerp(around(truth, None), 0.4)
    at_soft, at_hard = (loss(p.clamp(1e-6, 1 - 1e-6).logit(), truth) for p in (soft, truth))
    assert float(at_soft) == pytest.approx(0, abs=1e-4)
    assert at_hard > 0.05
