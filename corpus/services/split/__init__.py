"""Stage `split`: assigns samples to train, validation and test."""
