"""The stage: objects in one S3 bucket, and the one primitive that commits, a conditional put.

It knows keys, bodies and ETags; nothing of rows, SQL or the servers at either end. It never
deletes an object: what may go is decided elsewhere, from the state and the ledger together.
"""
