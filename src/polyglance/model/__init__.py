"""Models: towers with their heads, dual encoders and language packs."""
