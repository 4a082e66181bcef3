"""Data sets, batches and samples."""
