"""What a place is, which places are allowed, and how one is opened; light enough for a DAG parse."""
