"""Every kind of image file that real data sets have, and hostile ones; masks reduced by exact area."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from losslab.data.photos import ORIENTATION, Unusable, read_image, read_photo, reduce_mask
from losslab.inference.predict import REASONS


def picture(width: int = 40, height: int = 24) -> Image.Image:
    """Red in its upper left quarter, blue elsewhere."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 2] = 255
    pixels[: height // 2, : width // 2] = (255, 0, 0)
    return Image.fromarray(pixels)


def corners(image: np.ndarray) -> list[str]:
    """Which of red and blue is at upper left, upper right, lower left, lower right of `[3, S, S]`."""
    return ["red" if image[0, y, x] > image[2, y, x] else "blue" for y in (1, -2) for x in (1, -2)]


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "bmp", "tiff", "gif"])
def test_every_format_is_read_as_rgb(tmp_path: Path, kind: str) -> None:
    picture().save(tmp_path / f"a.{kind}")
    image = read_image(tmp_path / f"a.{kind}", 40, 24, 8)
    assert (image.shape, image.dtype) == ((3, 8, 8), np.uint8)
    assert corners(image) == ["red", "blue", "blue", "blue"]


@pytest.mark.parametrize(("mode", "kind"), [("L", "jpg"), ("CMYK", "jpg"), ("P", "png"), ("RGBA", "png"), ("1", "png")])
def test_every_mode_becomes_three_channels(tmp_path: Path, mode: str, kind: str) -> None:
    picture().convert(mode).save(tmp_path / f"a.{kind}")
    image = read_image(tmp_path / f"a.{kind}", 40, 24, 8)
    assert image.shape == (3, 8, 8)
    if mode in {"L", "1"}:
        assert (image[0] == image[1]).all()
    else:
        assert corners(image) == ["red", "blue", "blue", "blue"]


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    Image.fromarray(np.full((24, 40), 0x8042, np.uint16)).save(tmp_path / "a.png")
    assert set(read_image(tmp_path / "a.png", 40, 24, 8).ravel()) == {0x80}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_turns_the_image_to_what_viewers_show(tmp_path: Path, orientation: int) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    picture(40, 24).save(tmp_path / "a.jpg", exif=exif, quality=95)
    shown = ImageOps.exif_transpose(Image.open(tmp_path / "a.jpg"))
    image = read_image(tmp_path / "a.jpg", *shown.size, 8)
    expected = np.asarray(shown.convert("RGB").resize((8, 8))).transpose(2, 0, 1)
    assert corners(image) == corners(expected)


def test_a_record_that_gives_the_stored_size_gets_the_stored_image(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    picture(40, 24).save(tmp_path / "a.jpg", exif=exif)
    assert corners(read_image(tmp_path / "a.jpg", 40, 24, 8)) == ["red", "blue", "blue", "blue"]
    with pytest.raises(Unusable, match="size_disagrees"):
        read_image(tmp_path / "a.jpg", 41, 24, 8)


def test_reduction_is_antialiased(tmp_path: Path) -> None:
    board = (np.indices((256, 256)).sum(axis=0) % 2 * 255).astype(np.uint8)
    Image.fromarray(board).save(tmp_path / "a.png")
    assert np.ptp(read_image(tmp_path / "a.png", 256, 256, 16).astype(int)) <= 2


def png(width: int, height: int, bits: int, rows: bytes) -> bytes:
    """A PNG of three colours, `bits` each, whatever rows it has."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def bomb(path: Path) -> Path:
    """A PNG of 70 bytes that claims 60,000×60,000 pixels."""
    path.write_bytes(png(60_000, 60_000, 8, b""))
    return path


def test_a_decompression_bomb_is_not_decoded(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="too_large"):
        read_image(bomb(tmp_path / "a.png"), 60_000, 60_000, 8)


def test_a_truncated_jpeg_is_damaged(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.jpg")
    whole = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Unusable, match="damaged"):
        read_image(tmp_path / "a.jpg", 64, 64, 8)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40), st.integers(8, 20))
@settings(max_examples=60, deadline=None)
def test_reduction_is_by_exact_area(seed: int, height: int, width: int, size: int) -> None:
    mask = (np.random.default_rng(seed).random((height, width)) < 0.5).astype(np.uint8)
    big = np.kron(mask.astype(int), np.ones((size, size), int)).reshape(size, height, size, width).sum(axis=(1, 3))
    np.testing.assert_array_equal(reduce_mask(mask, size), 2 * big >= mask.size)
    np.testing.assert_array_equal(reduce_mask(np.asfortranarray(mask), size), 2 * big >= mask.size)


def save_12_bits(path: Path, values: np.ndarray) -> None:
    """A TIFF of 12 bits a pixel, two pixels in three bytes; the values `[H, W]`, W even."""
    first, second = values.reshape(-1, 2).T.astype(int)
    packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=1).astype(np.uint8).tobytes()
    entries = [(256, 4, values.shape[1]), (257, 4, values.shape[0]), (258, 3, 12), (259, 3, 1), (262, 3, 1),
               (273, 4, 8), (277, 3, 1), (278, 4, values.shape[0]), (279, 4, len(packed))]  # fmt: skip
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(packed)) + packed + directory + bytes(4))


def test_twelve_bits_become_eight_where_the_file_says_so(tmp_path: Path) -> None:
    save_12_bits(tmp_path / "a.tif", np.full((24, 40), 0x842))
    assert set(read_image(tmp_path / "a.tif", 40, 24, 8).ravel()) == {0x84}


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_sixteen_bits_that_may_be_twelve_are_refused_not_black(tmp_path: Path, kind: str) -> None:
    Image.fromarray(np.full((24, 40), 0xFFF, np.uint16)).save(tmp_path / f"a.{kind}")
    with pytest.raises(Unusable, match=r"^bits_unclear$"):
        read_image(tmp_path / f"a.{kind}", 40, 24, 8)
    Image.fromarray(np.zeros((24, 40), np.uint16)).save(tmp_path / f"a.{kind}")
    assert not read_image(tmp_path / f"a.{kind}", 40, 24, 8).any(), "black is black"


def save_48_bits(path: Path, values: np.ndarray) -> None:
    """A PNG or TIFF of three times 16 bits a pixel, which Pillow reads and does not write; the values `[H, W, 3]`."""
    height, width, _ = values.shape
    if path.suffix == ".png":
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
        path.write_bytes(png(width, height, 16, rows))
        return
    content = struct.pack("<3H", 16, 16, 16) + values.astype("<u2").tobytes()
    entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, 8), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 14),
               (277, 3, 1, 3), (278, 4, 1, height), (279, 4, 1, len(content) - 6)]  # fmt: skip
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(content)) + content + directory + bytes(4))


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_colours_of_sixteen_bits_that_may_be_twelve_are_refused_not_black(tmp_path: Path, kind: str) -> None:
    save_48_bits(tmp_path / f"a.{kind}", np.full((24, 40, 3), 0x8042))
    assert set(read_image(tmp_path / f"a.{kind}", 40, 24, 8).ravel()) == {0x80}
    for meant in (0xFFF, 0xFF):
        save_48_bits(tmp_path / f"a.{kind}", np.full((24, 40, 3), meant))
        with pytest.raises(Unusable, match=r"^bits_unclear$"):
            read_image(tmp_path / f"a.{kind}", 40, 24, 8)


@pytest.mark.parametrize("values", [np.float32(0.5), np.float32(200), np.float32(np.nan), np.int32(70_000)])
def test_numbers_without_a_white_are_refused_not_black(tmp_path: Path, values: np.generic) -> None:
    Image.fromarray(np.full((24, 40), values)).save(tmp_path / "a.tif")
    with pytest.raises(Unusable, match=r"^not_8_to_16_bits$"):
        read_image(tmp_path / "a.tif", 40, 24, 8)
    with pytest.raises(Unusable, match=r"^not_8_to_16_bits$"):
        read_photo(tmp_path / "a.tif")


def test_every_reason_for_a_photograph_has_words() -> None:
    assert REASONS.keys() >= {"bits_unclear", "not_8_to_16_bits", "damaged", "too_large", "not_an_image"}
