"""The Debian package: its version, its source, and its build. Standard library only, run by the system's Python."""
