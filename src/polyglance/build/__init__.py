"""Building of data sets: translators."""
