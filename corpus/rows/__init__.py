"""Rows of files that others wrote: their dates, and what is wrong with a row. Which columns they have is not known here."""
