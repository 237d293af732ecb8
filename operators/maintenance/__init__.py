"""What keeps Airflow's own databases small."""
