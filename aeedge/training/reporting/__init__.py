"""Metrics, images and progress of a run."""
