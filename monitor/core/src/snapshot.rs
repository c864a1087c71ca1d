//! What the last look at a scope saw, as hashes, and one more look that skips what has not changed.
