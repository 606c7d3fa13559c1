//! The meaning of a block's columns: their names, their time slices and the bytes of their values.

pub(crate) mod col_indexes;
pub(crate) mod contents;
pub mod envelope;
pub(crate) mod schema;
