"""What runs on a host itself: the command `corpus-airflow`, by the system's Python and nothing else."""
