"""What there is in a dataset: granules, and how much of the ocean they cover."""
