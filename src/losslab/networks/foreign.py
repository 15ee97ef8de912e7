"""Networks from elsewhere: any class or function that gives an `nn.Module`, of one's own or of another library.

In params.yaml `kind: module:Name`, its `options`, and, where the guess is wrong, what it expects:

    in_channels: n_channels   # what it calls the number of channels of the image; null: it has no such argument
    classes: n_classes        # what it calls the number of planes of its output
    multiple: 32              # of which image sides must be multiples: images are padded to it, logits cropped
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import interpolate

from losslab.errors import InputError
from losslab.networks.sizes import any_size
from losslab.settings import signature
from losslab.settings.schema import Count, Section, invalid

CHANNELS = (
    "in_channels",
    "in_chans",
    "in_channel",
    "in_ch",
    "n_channels",
    "num_channels",
    "input_channels",
    "channels",
)
"""What constructors call the channels of the image, the likeliest first."""
CLASSES = ("classes", "num_classes", "n_classes", "nclasses", "nb_classes", "out_channels", "out_ch", "num_labels")
"""What constructors call the planes of the output."""
WEIGHTS = ("weights", "weights_backbone", "encoder_weights", "pretrained", "pretrained_backbone")
"""What constructors call weights that they would fetch from the network: off."""


class Spec(Section):
    """What params.yaml says of a network from elsewhere."""

    kind: str
    options: dict[str, Any] = Field(default_factory=dict)
    in_channels: str | None
    classes: str
    multiple: Count = 1


def complete(spec: Mapping[str, Any], named: Any) -> dict[str, Any]:
    """`spec` with the options checked against the signature, and what it leaves out guessed.

    Raises:
        pydantic.ValidationError: an unknown key or option, one that is missing, or no argument for the classes.
    """
    options = spec.get("options", {})
    if not isinstance(options, Mapping):
        raise invalid("options", "is not a mapping of options", options)
    known = signature.parameters(named) or {}
    for key in spec:
        if key not in Spec.model_fields and key in known:
            raise invalid(key, f"an option of {named.__name__} stands below `options`; move it there", spec[key])
    guessed: dict[str, Any] = {"in_channels": next((name for name in CHANNELS if name in known), None)}
    guessed["classes"] = next((name for name in CLASSES if name in known), None)
    checked = guessed | dict(spec)
    for role in ("in_channels", "classes"):
        name = checked[role]
        if name is not None and name not in known and "kwargs" not in known:
            raise invalid(role, f"{named.__name__} has no argument '{name}'; it has: {', '.join(known)}", name)
    if checked["classes"] is None:
        message = f"say which argument of {named.__name__} is the number of classes; it has: {', '.join(known)}"
        raise invalid("classes", message, None)
    given = [name for name in (checked["in_channels"], checked["classes"]) if name is not None]
    for name in WEIGHTS:
        if options.get(name) is True or isinstance(options.get(name), str):
            message = "training opens no connection; name the file by `pretrained` beside `options`, with its sha256"
            raise invalid(f"options.{name}", message, options[name])
    offline: dict[str, Any] = {
        name: False if known[name].default is False else None for name in WEIGHTS if name in known
    }
    checked["options"] = signature.checked(named, offline | dict(options), given)
    return Spec.model_validate(checked).model_dump()


def build(spec: Mapping[str, Any], named: Any, *, in_channels: int, classes: int) -> nn.Module:
    """The network that a spec describes, `[N, in_channels, H, W]` → logits `[N, classes, H, W]`."""
    checked = complete(spec, named)
    given = {checked["classes"]: classes}
    if checked["in_channels"] is not None:
        given[checked["in_channels"]] = in_channels
    elif in_channels != 3:
        raise InputError(f"networks: {spec['kind']} has no argument for channels, and the images have {in_channels}")
    return Adapted(spec["kind"], partial(named, **checked["options"], **given), classes, checked["multiple"])


class Adapted(nn.Module):
    """A network from elsewhere, as the loop uses networks.

    Images are padded with their edge to `multiple`; of what comes out it takes the logits, resized to the image where
    they are of another resolution.
    """

    def __init__(self, kind: str, build: Callable[[], Any], classes: int, multiple: int) -> None:
        super().__init__()
        self.kind, self.classes, self.multiple = kind, classes, multiple
        try:
            self.network = build()
        except (TypeError, ValueError, KeyError, RuntimeError, AssertionError) as error:
            raise InputError(f"networks: {kind} cannot be built ({_words(error)})") from error
        if not isinstance(self.network, nn.Module):
            raise InputError(f"networks: {kind} gives a {type(self.network).__name__} in place of an nn.Module")

    @any_size
    @any_size
    def forward(self, x: Tensor) -> Tensor:
        try:
            logits = logits_of(self.network(x))
        except (ValueError, RuntimeError) as error:
            if "memory" in str(error):  # which is told elsewhere
                raise
            if "more than 1 value per channel" in str(error):
                raise InputError(f"train.batch_size: {self.kind} needs at least 2 images a batch") from error
            size = f"{x.shape[2]}×{x.shape[3]}"
            raise InputError(f"networks: {self.kind} fails on images of {size} ({_words(error)})") from error
        if logits is None or logits.ndim != 4 or logits.shape[:2] != (len(x), self.classes):
            shape = "no tensor" if logits is None else list(logits.shape)
            raise InputError(f"networks: {self.kind} gives {shape} in place of [{len(x)}, {self.classes}, H, W]")
        if logits.shape[2:] != x.shape[2:]:
            logits = interpolate(logits, size=x.shape[2:], mode="bilinear", align_corners=False)
        return logits


def logits_of(output: Any) -> Tensor | None:
    """The logits in what a network gives: a tensor, the first of several, or the entry `out` or `logits`."""
    if isinstance(output, Mapping):
        output = output.get("out", output.get("logits"))
    elif isinstance(output, tuple | list) and output:
        output = output[0]
    elif not isinstance(output, Tensor):
        output = getattr(output, "logits", None)
    return output if isinstance(output, Tensor) else None


def _words(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
