"""Networks: architectures, named layers, cuts at any layer, checkpoints."""
