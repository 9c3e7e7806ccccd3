"""Run-time parts that towers share: batches, pooling, weights and checkpoints."""
