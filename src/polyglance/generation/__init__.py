"""Heads for text-to-image pipelines: training, storage and import of published ones."""
