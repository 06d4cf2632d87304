"""MySQL tables to Amazon Redshift by way of parquet on S3: every row once, and proved.

Not a general ELT tool: one source family, one stage, one target family, and a commit protocol
between them that survives any crash.
"""

__version__ = "0.1.0"
