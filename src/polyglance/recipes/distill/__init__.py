"""Distillation of a text tower into another language."""
