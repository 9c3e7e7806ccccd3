"""Text towers in ONNX Runtime: the graph of a BERT, made once into the cache, run without torch."""
