"""What keeps Airflow's own databases small. Nothing here reads a corpus."""
