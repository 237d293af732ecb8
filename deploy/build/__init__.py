"""Build what is shipped: the images and the Debian package; neither imports the other."""
