"""Services and other commands as containers of the worker's Docker engine. No runner or operator is imported here."""
