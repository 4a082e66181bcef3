"""Many files at once: their outputs, their order, and how a batch stops."""
