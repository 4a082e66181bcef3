"""Objectives and losses."""
