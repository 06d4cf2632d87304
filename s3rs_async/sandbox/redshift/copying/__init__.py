"""COPY from S3: its statement, its credentials, its files, their types and values, the load."""
