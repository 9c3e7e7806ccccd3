"""Losses: pure functions of tensors that return named terms; one paper, one file."""

from torch import Tensor

# Scalars by name; "total" is what is minimised. A loss never sees a model, a process or a file.
Terms = dict[str, Tensor]
