"""Releases of the bundle on a host: the bundle that Airflow loads, and the check of its DAGs."""
