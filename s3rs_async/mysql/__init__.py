"""The source: what a MySQL or MariaDB table holds, how far it can be trusted, its rows as Arrow.

It knows MySQL and Arrow, and nothing of S3 or Redshift. It only ever reads.
"""
