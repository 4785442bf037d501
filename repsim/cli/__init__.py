"""The command line: thin typer commands, one file per noun; all they do can be imported from elsewhere."""
