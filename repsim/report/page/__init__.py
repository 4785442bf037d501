"""The report of a sweep as one page: gathered as plain data, then written as HTML."""
