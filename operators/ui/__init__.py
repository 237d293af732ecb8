"""What the Airflow UI shows of the corpus: pages and links. No service is run here."""
