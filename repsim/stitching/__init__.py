"""Stitchers, how they start, how they are matched and trained: g after layer b ∘ S ∘ f up to layer a."""
