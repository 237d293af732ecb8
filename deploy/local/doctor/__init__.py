"""`make doctor`: what would get in the way of the embedded Airflow, or of the cluster, on this machine.

Standard library only, since it runs before anything is installed.
"""
