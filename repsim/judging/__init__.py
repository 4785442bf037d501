"""Judging measures of similarity and stitchers by tests whose answer is known, so that a new one is believed for a reason."""
