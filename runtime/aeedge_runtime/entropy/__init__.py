"""The entropy coder: integer frequency tables and interleaved rANS."""
