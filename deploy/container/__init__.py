"""What runs inside Airflow's image: the init job and the health checks. Standard library, and Airflow where it says so."""
