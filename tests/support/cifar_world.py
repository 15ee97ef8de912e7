"""A small CIFAR-10, in the archive and the pickles of the official one."""

import io
import pickle
import struct
import tarfile

import numpy as np

COUNT = 40  # images of a batch
HORSE = 7
NAMES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
LIGHTS = np.array([[20, 30, 10], [200, 40, 60], [90, 90, 200], [240, 230, 220]])


def images(batch: int) -> np.ndarray:
    """Images uint8 `[COUNT, 3072]` of patches in four colours and a little noise."""
    random = np.random.default_rng(batch)
    patches = LIGHTS[random.integers(0, 4, (COUNT, 4, 4))].repeat(8, axis=1).repeat(8, axis=2)
    noisy = patches + random.integers(-6, 7, patches.shape)
    return noisy.transpose(0, 3, 1, 2).astype(np.uint8).reshape(COUNT, -1)


def labels(batch: int) -> list[int]:
    return [(image + batch) % 10 for image in range(COUNT)]


def text(value: str) -> bytes:
    return b"U" + bytes([len(value)]) + value.encode()


def python2_pickle(data: np.ndarray, labels: list[int]) -> bytes:
    """What Python 2's cPickle made of a batch, opcode by opcode; Python 3 cannot write it."""
    shape = b"".join(b"M" + struct.pack("<H", side) for side in data.shape) + b"\x86"
    dtype = b"cnumpy\ndtype\n" + text("u1") + b"K\x00K\x01\x87R(K\x03" + text("|") + b"NNN" + 2 * b"J\xff\xff\xff\xff"
    raw = b"T" + struct.pack("<I", data.size) + data.tobytes()
    array = b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nK\x00\x85" + text("b") + b"\x87R(K\x01"
    array += shape + dtype + b"K\x00tb" + b"\x89" + raw + b"tb"
    listed = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    names = b"](" + b"".join(text(f"{label}_s_{i:06}.png") for i, label in enumerate(labels)) + b"e"
    parts = [text("batch_label") + text("a batch"), text("labels") + listed, text("data") + array,
             text("filenames") + names]  # fmt: skip
    return b"\x80\x02}q\x01(" + b"".join(parts) + b"u."


def archive(**changes: bytes) -> bytes:
    """`cifar-10-python.tar.gz` of small batches; `changes` replace files."""
    files = {name: python2_pickle(images(batch), labels(batch)) for batch, name in enumerate(NAMES)}
    files |= {"batches.meta": pickle.dumps({}, 2), "readme.html": b"<html>"} | changes
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()
