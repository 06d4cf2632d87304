"""A stand-in for Amazon Redshift in front of a private PostgreSQL.

`python -m s3rs_async.sandbox.redshift` runs it. Rules are data (`rules`), and so is what a client
finds in the catalogue (`sql`). A connection comes in by `server`; a `session` holds both sides; each
statement is read as Redshift's `dialect`, `planning` says what is done with it, `copying` does COPY.
"""
