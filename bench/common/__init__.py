"""What several benchmarks share; nothing here is a benchmark, and the product imports none of it."""
