"""Towers that learn: whole ones, adapters and low-rank updates."""
