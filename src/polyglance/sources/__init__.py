"""Readers of data sets: one file per publisher's format."""
