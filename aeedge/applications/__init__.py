"""Uses of a bundle other than compression: denoising, anomaly scores, features, generation. Needs no PyTorch."""
