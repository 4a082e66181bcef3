"""Names of the image files that can be read; imports nothing, so that a command line can show them at once."""

IMAGE_SUFFIXES = frozenset(
    f".{kind}"
    for kind in (
        *("avif", "bmp", "dib", "gif", "j2k", "jp2", "jpe", "jpeg", "jfif", "jpg"),
        *("pbm", "pgm", "png", "pnm", "ppm", "tga", "tif", "tiff", "webp"),
    )
)
"""Lower-case suffixes of the files taken from a folder as images; a file named on its own may have any."""
