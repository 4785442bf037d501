"""What can be read off activations by a linear map, and how that depends on their rank."""
