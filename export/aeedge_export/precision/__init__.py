"""Reduced precision: float16 and int8 variants, and what they cost."""
