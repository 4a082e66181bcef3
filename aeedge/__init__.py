"""aeedge: train an image autoencoder, export it as two ONNX graphs, use it as an image codec.

This package holds the command line (`aeedge.cli.main`), the models (`aeedge.models`) and the training engine
(`aeedge.training`). Importing it loads nothing heavy. The codec itself is `aeedge_runtime`.
"""

from aeedge_runtime._version import __version__

__all__ = ["__version__"]
