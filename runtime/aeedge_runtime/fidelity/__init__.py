"""Fidelity beyond the network: stored tiles, bounds on the error, lossless images."""
