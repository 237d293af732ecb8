"""Where samples come from: listings, manifests, archives, file types. Knows nothing of services or updates."""
