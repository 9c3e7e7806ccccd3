"""Recipes that train on images and captions: NLLB-CLIP and ETCL."""
