"""Storage: atomic files, locks, manifests, tables of vectors and their indexes."""
