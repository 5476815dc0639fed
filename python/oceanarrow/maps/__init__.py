"""Back to the sphere: maps out of patches, and values at points."""
