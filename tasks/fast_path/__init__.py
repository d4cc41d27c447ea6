"""Whatever relies on private names of Celery and kombu; see README.md in this folder.

Nothing imports this package by name: `tasks/options.py` gives Celery the paths of its classes and
functions, unless `ORDERFLOW_FAST_PATH=0`.
"""
