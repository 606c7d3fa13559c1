//! parquet-block.
