"""Checks that stop an export."""
