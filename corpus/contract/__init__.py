"""What a caller of a service knows, and nothing that does the work.

These are requests, reports, gates' results, the registry, progress, run identity, the names of the splits,
and the version of the code. Light enough for every parse of the DAGs and for every help text: nothing here imports the store, or a
library that reads data.
"""
