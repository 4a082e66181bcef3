"""From image to symbols to stream and back: tiles, blocks, priors and threads."""
