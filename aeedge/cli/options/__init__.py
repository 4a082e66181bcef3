"""Options of the command line, shared or too many for one command's module."""
