"""The engines that a benchmark times: aeedge, classic codecs and PyTorch."""
