"""The health checks of the parts of the cluster. They run every half minute, so they never import Airflow."""
