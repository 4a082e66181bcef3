"""Adapters of libraries: each says what `adapt` must know of a library's networks. See `networks.libraries`."""
