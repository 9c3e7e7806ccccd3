"""Heads beside frozen towers: affine maps, linear layers, small networks, closed forms."""
