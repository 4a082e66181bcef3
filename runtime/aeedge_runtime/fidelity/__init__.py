"""What a network gets wrong, kept right: stored tiles, bounds on the error, lossless images."""
