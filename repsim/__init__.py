"""repsim: how similar are the representations of neural networks, at the scale of whole zoos on Slurm."""

__version__ = "0.1.0"
