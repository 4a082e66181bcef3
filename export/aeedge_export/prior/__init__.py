"""The exact prior, fitted to the frozen latents of any bundle."""
