"""What a corpus keeps, and how: object store, blobs, tables' schemas, staging, claims, manifests, index.

Keys, records and rows, whoever asks for them: nothing here knows a source or a service.
"""
