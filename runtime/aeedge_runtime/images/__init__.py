"""Image files and arrays in and out: pixels, alpha, color profiles and EXIF."""
