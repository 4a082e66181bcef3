"""The tree of errors that a caller of aeedge can meet.

AeedgeError                      exit code 1
├── ArgumentError                exit code 2   a value the caller passed cannot be used
├── InputError                   exit code 3   an input is not what it claims to be
│   ├── ImageError               an image file or array
│   ├── StreamError              a damaged or forged `.aee` stream
│   │   └── UnsupportedStreamError   a stream of a newer version or with an unknown must-understand flag
│   ├── BundleError              a damaged or forged bundle
│   └── LimitError               a valid input beyond a limit of this reader
├── ModelError                   exit code 4
│   ├── WrongModelError          the stream was written with another model
│   ├── MissingHalfError         the bundle holds only the other half (encoder or decoder)
│   └── ModelNotFoundError       no bundle of that name or at that path
├── DeviceError                  exit code 5   the requested device cannot be used
│   └── BackendError             onnxruntime is missing, installed twice, or does not load
├── TargetNotReachedError        exit code 1   a rate or quality target that this image and model cannot meet
└── CanceledError                exit code 1   the caller asked the call to end

Messages say what is wrong, what was expected and what to do.
"""


class AeedgeError(Exception):
    """Base of every error that aeedge raises on purpose."""

    exit_code = 1


class ArgumentError(AeedgeError, ValueError):
    """A value the caller passed cannot be used."""

    exit_code = 2


class InputError(AeedgeError, ValueError):
    """An input is not what it claims to be."""

    exit_code = 3


class ImageError(InputError):
    """An image file or array is damaged, unreadable or of an unsupported kind."""


class StreamError(InputError):
    """A stream is damaged, forged or not a stream."""


class UnsupportedStreamError(StreamError):
    """A stream is of a version, or has a must-understand flag, that this reader does not know."""


class BundleError(InputError):
    """A bundle is damaged, forged, or not a bundle."""


class LimitError(InputError):
    """An input exceeds a limit of this reader."""


class ModelError(AeedgeError):
    """The loaded model is not the one that is needed."""

    exit_code = 4


class WrongModelError(ModelError):
    """A stream was written with another model."""


class MissingHalfError(ModelError):
    """The bundle holds only the other half (encoder or decoder)."""


class ModelNotFoundError(ModelError, FileNotFoundError):
    """There is no bundle of that name or at that path."""


class DeviceError(AeedgeError, RuntimeError):
    """The requested device cannot be used."""

    exit_code = 5


class BackendError(DeviceError):
    """The onnxruntime package is missing, does not load, or two of its distributions are installed over each other."""


class TargetNotReachedError(AeedgeError):
    """A rate or quality target that this image and model cannot meet."""


class CanceledError(AeedgeError):
    """The caller asked this call to end, with `cancel`."""


class AeedgeWarning(UserWarning):
    """Something the user should know although the call succeeded."""
