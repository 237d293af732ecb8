"""Airflow on this machine: embedded, or a cluster in containers."""
