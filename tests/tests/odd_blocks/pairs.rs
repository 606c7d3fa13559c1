//! Blocks that can be merged one by one, and not with one another.
