"""Stage `ingest`: reads candidates, stores executables as blobs, records their identity."""
