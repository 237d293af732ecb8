"""pefile itself, bounded, for the files that the fast readers do not vouch for. Those never import it."""
