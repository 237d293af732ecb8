"""The init job: users, roles and the metadata database; and what starts the API server with its auth manager."""
