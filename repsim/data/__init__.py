"""Data sets as tensors on a device: where they are found, how they are decoded, and how they come in batches."""
