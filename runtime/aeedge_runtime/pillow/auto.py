"""Registers `.aee` with Pillow when it is imported."""

from .plugin import register

register()
