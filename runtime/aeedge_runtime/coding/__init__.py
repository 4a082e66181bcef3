"""Coding: images to latents, symbols and chunks, and back."""
