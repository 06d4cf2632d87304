"""The target: SQL, the ledger, and the way to both; nothing of MySQL and nothing of S3's API.

`loader.load` is the one act that changes a target's rows. Everything else is what it needs: a
session through the tunnel (`connection`, `tunnel`), the text of statements (`sql`, `apply`,
`types`), the ledger (`ledger`), and a look at the live table (`schema`).
"""
