"""A client session: both sides, the two protocols, and the work that is done in between."""
