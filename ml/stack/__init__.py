"""The embedded stack: the real object store, Airflow and model server as children on one machine."""
