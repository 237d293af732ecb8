"""The reaper: removes containers and folders of tasks that are no more. It does without Airflow."""
