"""Small towers for pictograms and their names, with the shipped weights."""
