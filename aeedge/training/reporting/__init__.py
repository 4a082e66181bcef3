"""Metrics, pictures and progress of a run."""
