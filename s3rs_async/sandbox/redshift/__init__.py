"""A stand-in for Amazon Redshift: its wire, its refusals and its COPY before a private PostgreSQL.

It is not Redshift. What it copies is listed in `rules.RULES`, each rule with the evidence it rests
on; what it does not know it refuses by name, so that no test passes because a stand-in shrugged.
It runs as its own process (`python -m s3rs_async.sandbox.redshift`) and listens on 127.0.0.1 only.

A connection comes in by `server`; a `session` holds both of its sides. Each statement is read as
Redshift's `dialect`, `planning` says what is done with it, and `copying` loads from S3. `rules` is
the table, `sql` what a client finds in the catalogue.
"""
