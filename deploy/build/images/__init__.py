"""The cluster's images, built on this machine: `make images`. docs/images.md says what is in them."""
