//! tsdb.
