"""The cluster on one machine: what `make cluster-up` and its siblings do."""
