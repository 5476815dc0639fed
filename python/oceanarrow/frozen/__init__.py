"""Frozen sets: rows rendered once, in files that are read at the speed of memory."""
