"""Random histories of two dealers on the domain layer, without servers; the six invariants are checked on the way."""
