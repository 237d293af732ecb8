"""Where a service runs: as a process of the worker, or in a container. No operator is imported here."""
