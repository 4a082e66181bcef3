"""Quantizer steps and frequency tables, fitted to real latents."""
