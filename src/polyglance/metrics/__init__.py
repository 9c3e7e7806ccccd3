"""Metrics, their intervals and tests of significance."""
