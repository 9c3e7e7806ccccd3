"""Making of data sets: translators."""
