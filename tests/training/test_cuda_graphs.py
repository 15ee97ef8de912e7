"""Training steps replayed as one graph: on a GPU as CUDA graphs, here by a tape that has their limits."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import pytest
import torch
import yaml
from augmentations import EVERY
from loss_cases import NEEDED
from projects import ROOT
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from losslab import losses, networks
from losslab.errors import InputError
from losslab.inference import devices
from losslab.inference.forward import Normalisation
from losslab.settings.params import SGD, Train
from losslab.training import cuda_graphs
from losslab.training.loop import Data, Progress, train

# torchvision takes seconds to import
NETWORKS = [
    pytest.param(kind, marks=pytest.mark.slow if kind in ("deeplabv3", "smp") else []) for kind in networks.KINDS
]

ATEN = torch.ops.aten
NEEDS_THE_HOST = {
    ATEN._local_scalar_dense,  # Python waits for a value
    ATEN.is_nonzero,
    ATEN.equal,
    ATEN.nonzero,  # a shape that depends on values
    ATEN.masked_select,
    ATEN._unique2,
    ATEN.lift_fresh,  # numbers from Python
}


class Tape(TorchDispatchMode):
    """Stands in for a CUDA graph: records operations, and runs them on the same tensors without Python."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, Any, Any]] = []
        self.replays = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        packet = function.overloadpacket
        by_mask = packet in (ATEN.index, ATEN.index_put_) and any(
            index is not None and index.dtype is torch.bool for index in args[1]
        )
        if packet in NEEDS_THE_HOST or by_mask:
            raise RuntimeError(f"{function} needs the host\nand more lines")
        result = function(*args, **(kwargs or {}))
        self.operations.append((function, args, kwargs or {}, result))
        return result

    def replay(self) -> None:
        self.replays += 1
        if self.replays == 1:  # recording ran the operations, which capturing does not
            return
        with torch.no_grad():
            for function, args, kwargs, result in self.operations:
                again = function(*args, **kwargs)
                for place, value in zip(tree_leaves(result), tree_leaves(again), strict=True):
                    if isinstance(place, torch.Tensor) and place.data_ptr() != value.data_ptr():
                        place.copy_(value)


@pytest.fixture
def tapes(monkeypatch: pytest.MonkeyPatch) -> list[Tape]:
    """The tapes that were made in place of CUDA graphs."""
    made: list[Tape] = []

    def new() -> Tape:
        made.append(Tape())
        return made[-1]

    @contextmanager
    def recording(tape: Tape, stream: None) -> Iterator[None]:
        try:
            with tape:
                yield
        except Exception:
            raise RuntimeError("failed due to a previous error during capture")  # noqa: B904

    monkeypatch.setattr(torch.cuda, "CUDAGraph", new)
    monkeypatch.setattr(torch.cuda, "graph", recording)
    monkeypatch.setattr(cuda_graphs, "aside", nullcontext)
    monkeypatch.setattr(cuda_graphs, "side", lambda: None)
    monkeypatch.setattr(cuda_graphs, "possible", lambda _: True)
    return made


def settings(**changes: Any) -> Train:
    """Two epochs of five steps."""
    section = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["train"]
    defaults = {"epochs": 2, "batch_size": 3, "cuda_graphs": True, "device": "cpu", "precision": "float32"}
    return Train.model_validate(section | defaults | changes)


def run(options: Train, loss: str = "dice", network: str = "unet", device: str = "cpu", **of_loss: Any) -> Progress:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (17, 3, 32, 32), generator=generator, dtype=torch.uint8).to(device)
    masks = (images[:, :2] > 200).to(torch.uint8)
    data = Data(images[:15], masks[:15], images[15:], masks[15:], Normalisation.of(images), images.device)
    size = {"width": 4, "levels": 2} if network == "unet" else {}
    build_network = partial(networks.build, network, classes=2, **size)
    progress = Progress()
    dtype = devices.compute_dtype(options.precision, "float32", torch.device(device))
    train(build_network, losses.build(loss, **of_loss), data, options, 0, dtype, progress, lambda _: None, "test")
    return progress


def same(a: Progress, b: Progress) -> bool:
    return a.rows == b.rows and all(torch.equal(a.kept[name], b.kept[name]) for name in a.kept)


def eager(options: Train, monkeypatch: pytest.MonkeyPatch, **choice: Any) -> Progress:
    """The same steps, none of them captured."""
    with monkeypatch.context() as patch:
        patch.setattr(cuda_graphs, "WARM_UP", 10**9)
        return run(options, **choice)


@pytest.mark.parametrize(
    "options",
    [{}, {"optimizer": SGD(kind="sgd", lr=0.1, momentum=0.9), "schedule": "constant"}, {"augment": EVERY}],
)
def test_a_replayed_run_has_the_bits_of_one_that_is_not(
    options: dict[str, Any], tapes: list[Tape], monkeypatch: pytest.MonkeyPatch
) -> None:
    replayed = run(settings(**options))
    assert [tape.replays for tape in tapes] == [7], "ten steps, three of them before"
    assert same(replayed, eager(settings(**options), monkeypatch))
    plain = run(settings(**options, cuda_graphs=False))
    for name, kept in plain.kept.items():  # but for the rounding of the learning rate
        torch.testing.assert_close(replayed.kept[name], kept, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", losses.KINDS)
def test_every_loss_can_be_replayed(kind: str, tapes: list[Tape], monkeypatch: pytest.MonkeyPatch) -> None:
    options = settings(optimizer=SGD(kind="sgd", lr=1e-7), schedule="constant")
    needed = NEEDED.get(kind, {})
    replayed = run(options, kind, **needed)
    assert tapes[0].replays == 7
    assert same(replayed, eager(options, monkeypatch, loss=kind, **needed))


WEIGHTED = {
    "bce": {"pos_weight": [2.0, 3.0], "label_smoothing": 0.1},
    "cross_entropy": {"class_weights": [1.0, 2.0, 3.0], "label_smoothing": 0.1},
}


@pytest.mark.parametrize(("kind", "options"), WEIGHTED.items())
def test_weights_can_be_replayed(kind: str, options: dict[str, Any], tapes: list[Tape]) -> None:
    assert run(settings(), kind, **options).epoch == 2


def test_the_cross_entropy_of_cuda_can_be_replayed(tapes: list[Tape], monkeypatch: pytest.MonkeyPatch) -> None:
    module = "losslab.losses.pixel.cross_entropy"
    monkeypatch.setattr(f"{module}.cross_entropy", importlib.import_module(module).gathered_cross_entropy)
    assert run(settings(), "cross_entropy", class_weights="balanced").epoch == 2


@pytest.mark.parametrize("kind", NETWORKS)
def test_every_network_can_be_replayed(kind: str, tapes: list[Tape], monkeypatch: pytest.MonkeyPatch) -> None:
    replayed = run(settings(), network=kind)
    assert tapes[0].replays == 7
    assert same(replayed, eager(settings(), monkeypatch, network=kind))


def test_a_step_that_waits_for_a_value_is_refused_in_a_line(tapes: list[Tape], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self: float(self.param_groups[0]["lr"]))
    with pytest.raises(InputError) as error:
        run(settings())
    assert str(error.value) == (
        "params.yaml: train.cuda_graphs: this step cannot be captured (aten._local_scalar_dense.default needs the "
        "host); set it to false"
    )


def test_on_a_cpu_the_setting_changes_nothing() -> None:
    assert same(run(settings()), run(settings(cuda_graphs=False)))


def test_memory_that_runs_out_in_a_capture_is_not_blamed_on_the_graph(
    tapes: list[Tape], monkeypatch: pytest.MonkeyPatch
) -> None:
    def step(self: Any) -> None:
        if torch.utils._python_dispatch.is_in_torch_dispatch_mode():
            raise torch.OutOfMemoryError

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    with pytest.raises(torch.OutOfMemoryError):
        run(settings())


class OneDevice(TorchDispatchMode):
    """Refuses tensors of the host in what runs on another device: a copy, which no graph can hold."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        devices_used = {x.device.type for x in tree_leaves((args, kwargs, result)) if isinstance(x, torch.Tensor)}
        assert devices_used <= {"meta"}, f"{function} has tensors on {devices_used}"
        return result


def on_one_device(network: torch.nn.Module, loss: losses.Loss) -> None:
    images = torch.empty(4, 3, 32, 32, dtype=torch.uint8, device="meta")
    masks = torch.empty(4, 2, 32, 32, dtype=torch.uint8, device="meta")
    maps = None if loss.target_maps(torch.zeros(1, 2, 8, 8)) is None else torch.empty(4, 2, 32, 32, device="meta")
    normalise = Normalisation((1.0, 2.0, 3.0), (1.0, 1.0, 1.0))
    normalise(images)  # what is copied once
    loss(torch.empty(4, 2, 32, 32, device="meta"), masks, maps)
    with OneDevice():
        loss(network(normalise(images)), masks, maps).backward()


@pytest.mark.parametrize("kind", losses.KINDS)
def test_a_loss_stays_on_its_device(kind: str) -> None:
    with torch.device("meta"):
        network = networks.build("unet", classes=2, width=4, levels=2)
    on_one_device(network, losses.build(kind, **NEEDED.get(kind, {}) | WEIGHTED.get(kind, {})))


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_network_stays_on_its_device(kind: str) -> None:
    with torch.device("meta"):
        network = networks.build(kind, classes=2)
    on_one_device(network, losses.build("dice"))


ON_A_GPU = [
    *({"network": kind} for kind in networks.KINDS),
    *({"loss": kind, **NEEDED.get(kind, {})} for kind in losses.KINDS),
    *({"loss": kind, **options} for kind, options in WEIGHTED.items()),
    {"precision": "bfloat16"},
    {"augment": EVERY},
    {"optimizer": SGD(kind="sgd", lr=0.1, momentum=0.9), "schedule": "constant"},
]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("choice", ON_A_GPU, ids=str)
def test_cuda_graphs_have_the_bits_of_a_run_without(choice: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {key: choice[key] for key in choice if key in Train.model_fields}
    options, rest = settings(device="cuda", **changes), {key: choice[key] for key in choice if key not in changes}
    devices.prepare(options)
    assert same(run(options, device="cuda", **rest), eager(options, monkeypatch, device="cuda", **rest))
