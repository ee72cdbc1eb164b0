"""Batched reads: rows, batch functions by noun, the loaders of one operation, and the database."""
