"""What all of deploy shares: the error tree, running a program, writing a file whole, Airflow's API.

Standard library only: the host command runs it under Debian's own Python.
"""
