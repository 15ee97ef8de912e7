"""Where and how numbers are computed: device, precision, threads, determinism."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from losslab.errors import InputError
from losslab.settings.params import Train

MOST_THREADS = 8
"""For each processor: threads wait for each other by turning in place, and far more of them than processors never end.
"""


def prepare(train: Train) -> torch.device:
    """Set threads and determinism for this process; return the device that `train.device` means here.

    Raises:
        InputError: the device or the processors that params.yaml asks for are not there.
    """
    if train.threads > (most := MOST_THREADS * (os.cpu_count() or 1)):
        raise InputError(f"params.yaml: train.threads: {train.threads}, and this machine can run {most} at most")
    torch.set_num_threads(train.threads)
    # cuBLAS is deterministic only with a fixed workspace, and reads this when it starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Not `use_deterministic_algorithms`, which takes 4 s to import a compiler that nothing here uses.
    torch.set_deterministic_debug_mode("error" if train.deterministic else "default")
    # Nothing reads memory before it is written, and filling it costs 3 % of a step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = not train.deterministic
    name = train.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available[name]:
        raise InputError(f"params.yaml: train.device: this machine has no {name}; use auto or cpu")
    return torch.device(name)


def compute_dtype(precision: str, on_cpu: str, device: torch.device) -> torch.dtype:
    """What convolutions compute in.

    Args:
        precision: float32, bfloat16, or auto: what is faster on the device.
        on_cpu: what is faster on a processor, as `cpu_precision` found where the run was planned.
        device: where.
    """
    if precision == "auto":
        on_gpu = "bfloat16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "float32"
        precision = on_cpu if device.type == "cpu" else on_gpu
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


@contextmanager
def memory(key: str, batch_size: int) -> Iterator[None]:
    """Say which setting to change when memory runs out within the block.

    Args:
        key: name in params.yaml of the number of images that are computed at once.
        batch_size: that number.

    Raises:
        InputError: the device, or the machine, has not enough memory.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and "can't allocate memory" not in str(error):
            raise
        less = f"try {batch_size // 2}, or" if batch_size > 1 else "use"
        message = f"out of memory with {batch_size} images at once; {less} smaller images or a smaller network"
        raise InputError(f"params.yaml: {key}: {message}") from None


def name_of(device: torch.device) -> str:
    """The device as people call it, such as `NVIDIA H200` or `cpu`."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def cpu_precision() -> Literal["float32", "bfloat16"]:
    """What a network trains faster in on this machine's processor.

    bfloat16 with AMX, and with AVX-512's bf16 instructions on AMD, where they run at full rate. Intel's cores without
    AMX (or whose host hides it) run these instructions at less than float32's rate: a training step of a U-Net takes
    28 % longer with them. `benchmarks/precision.py` measures it.
    """
    has = torch.cpu.get_capabilities()
    fast = has.get("amx_bf16") or (has.get("avx512_bf16") and "Intel" not in str(has.get("cpu_name")))
    return "bfloat16" if fast else "float32"
