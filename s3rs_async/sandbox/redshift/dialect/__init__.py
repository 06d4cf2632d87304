"""Redshift's SQL by tokens: what it says, what of it Redshift lacks, how the backend says it."""
