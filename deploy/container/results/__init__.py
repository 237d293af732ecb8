"""How scheduler and workers tell each other the state of a task, without pickle.

Celery keeps results in a database as pickles, and the scheduler reads a row whoever wrote it. A worker has the
password of that database, since it writes states; with a pickle of its own it would run code in the scheduler, which
has Airflow's database and the keys. Here nothing of a row is read or written but what Airflow asks for: the state.
"""
