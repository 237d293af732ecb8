"""The embedded default: a whole Airflow on this machine (SQLite, LocalExecutor, no Docker)."""
