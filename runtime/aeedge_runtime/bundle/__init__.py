"""Bundles: the manifest, the files and tables it names, and their checks."""
