"""Similarity of representations: streamed moments, pairs of images, measures with their nulls."""
