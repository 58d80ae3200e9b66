"""Published experiments against the twin: the table, one evaluator per row, and the page `docs/validation.md`."""
