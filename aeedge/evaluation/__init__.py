"""Rate and distortion of a bundle against classic codecs, on the same images in the same run; needs no PyTorch."""
