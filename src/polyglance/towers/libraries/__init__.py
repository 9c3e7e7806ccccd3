"""Towers of other libraries: one file a library."""
