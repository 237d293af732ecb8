"""Loops over bytes that numba compiles, and what is counted with them. Imports no other room."""
