"""Towers whose weights a package of the Python index carries: `packaged:NAME`."""
