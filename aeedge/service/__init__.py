"""The codec as an HTTP service."""
