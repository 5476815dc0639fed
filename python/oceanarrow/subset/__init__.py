"""A smaller dataset out of a larger one: what a set of queries needs, and nothing else."""
