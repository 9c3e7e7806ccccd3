"""Data of the recipes: which texts, pairs and images each learns from."""
