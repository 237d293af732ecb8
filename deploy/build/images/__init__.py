"""The cluster's images, built on this machine: `make images`. docs/operate/images.md says what is in them."""
