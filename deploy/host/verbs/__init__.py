"""The verbs of the host command, one module each."""
