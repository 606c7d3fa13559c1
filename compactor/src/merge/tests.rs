//! Merges of small blocks.
