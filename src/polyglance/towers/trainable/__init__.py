"""Trainable towers: whole ones, adapters and low-rank updates."""
