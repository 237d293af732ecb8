"""Stage `import-verdicts`: appends verdicts from files."""
