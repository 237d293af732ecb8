"""Authenticode signatures, as signify 0.7.1 reads them. Imports no other room."""
