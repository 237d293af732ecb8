"""What an update changes, in numbers: rows, statistics, drift, content. No service, and no card."""
