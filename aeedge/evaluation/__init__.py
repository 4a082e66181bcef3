"""Compares rate and distortion of a bundle with classic codecs on the same images. Needs no PyTorch."""
