"""The stream format: header, sections, checksums and the layout of chunks."""
