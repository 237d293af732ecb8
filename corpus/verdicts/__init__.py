"""Formats of evidence: manifests and VirusTotal reports, read into verdicts. No store, and no labels."""
