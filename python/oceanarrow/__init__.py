"""oceanarrow feeds ocean data to machine-learning models."""
