"""What can be read off activations: by a linear map, how that depends on their rank, and whether they are in distribution."""
