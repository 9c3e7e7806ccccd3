"""Planted bugs: places in the source, which tests cover them, and whether those tests notice."""
