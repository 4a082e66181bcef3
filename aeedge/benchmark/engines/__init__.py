"""What is timed: aeedge, classic codecs and PyTorch."""
