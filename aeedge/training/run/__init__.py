"""The run folder: config, checkpoints and logs."""
