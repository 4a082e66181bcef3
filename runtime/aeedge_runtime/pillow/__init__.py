"""Pillow plugin: `Image.open` reads `.aee` streams and `save` writes them, once `register` was called."""

from .plugin import register

__all__ = ["register"]
