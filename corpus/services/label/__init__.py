"""Stage `label`: resolves the verdicts of each sample into a label."""
