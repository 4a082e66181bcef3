"""aeedge at run time: image <-> checked bytes with two ONNX graphs, without PyTorch.

Importing this package does no work: numpy, onnxruntime and Pillow are loaded at first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from ._version import __version__
from .errors import (
    AeedgeError,
    AeedgeWarning,
    ArgumentError,
    BackendError,
    BundleError,
    CanceledError,
    DeviceError,
    ImageError,
    InputError,
    LimitError,
    MissingHalfError,
    ModelError,
    ModelNotFoundError,
    StreamError,
    TargetNotReachedError,
    UnsupportedStreamError,
    WrongModelError,
)

if TYPE_CHECKING:
    from .bundle.bundle import Bundle
    from .codec import Codec
    from .coding.stream_reader import StreamReader
    from .doctor import Diagnosis, diagnose
    from .images.load import load_picture, load_pictures
    from .images.picture import Picture
    from .images.save import save_picture
    from .stream.info import StreamInfo, stream_info, stream_names
    from .verify import Verification, verify_bundle

__all__ = [
    "AeedgeError",
    "AeedgeWarning",
    "ArgumentError",
    "BackendError",
    "Bundle",
    "BundleError",
    "CanceledError",
    "Codec",
    "DeviceError",
    "Diagnosis",
    "ImageError",
    "InputError",
    "LimitError",
    "MissingHalfError",
    "ModelError",
    "ModelNotFoundError",
    "Picture",
    "StreamError",
    "StreamInfo",
    "StreamReader",
    "TargetNotReachedError",
    "UnsupportedStreamError",
    "Verification",
    "WrongModelError",
    "__version__",
    "diagnose",
    "load_picture",
    "load_pictures",
    "save_picture",
    "stream_info",
    "stream_names",
    "verify_bundle",
]

_LAZY = {
    "Bundle": "bundle.bundle",
    "Codec": "codec",
    "Diagnosis": "doctor",
    "Picture": "images.picture",
    "StreamInfo": "stream.info",
    "StreamReader": "coding.stream_reader",
    "Verification": "verify",
    "diagnose": "doctor",
    "load_pictures": "images.load",
    "load_picture": "images.load",
    "save_picture": "images.save",
    "stream_info": "stream.info",
    "stream_names": "stream.info",
    "verify_bundle": "verify",
}


def __getattr__(name: str) -> object:
    """Import the module of a public name when the name is first used."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f".{_LAZY[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names, including those not yet imported."""
    return sorted(__all__)
