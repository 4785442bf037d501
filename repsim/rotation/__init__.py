"""Rotations: fixed random matrices inserted behind a layer, and the layers above it retrained."""
