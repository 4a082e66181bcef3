"""Training: data, losses, the step-counted loop, checkpoints and run folders. Importing it loads nothing."""
