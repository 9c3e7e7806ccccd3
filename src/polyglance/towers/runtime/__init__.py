"""What towers share at run time: batches, pooling, weights and checkpoints."""
