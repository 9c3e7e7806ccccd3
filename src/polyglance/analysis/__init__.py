"""Analyses of a language pack: what it does to vectors, as pure functions of them."""
