"""What does a pack do to the vectors? Pure functions of vectors, each with what it found."""
