"""Results: our form, those of others, and the published tables."""
