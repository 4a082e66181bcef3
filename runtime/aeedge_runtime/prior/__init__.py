"""Priors: the frequency table and mean of every symbol, pass by pass."""
