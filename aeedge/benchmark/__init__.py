"""Measures a bundle on this machine: every configuration in fresh processes, in stages that add up to the whole."""
