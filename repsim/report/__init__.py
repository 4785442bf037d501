"""Plans, states and tables as people read them: terminal, Markdown, LaTeX, CSV, JSON, pictures."""
