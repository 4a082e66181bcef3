"""What a bundle is good for beside compression: cleaning, anomaly scores, features, generation. Without PyTorch."""
