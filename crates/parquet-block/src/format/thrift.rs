//! Thrift's compact protocol, as far as Parquet's metadata are read and written here; `reader` draws it.
//! `shape` has the types of fields.

mod reader;
mod shape;
mod writer;

pub(crate) use self::{
    reader::{Kind, ThriftReader},
    shape::{BLOOM_FILTER_HEADER, COLUMN_INDEX, FILE_METADATA, OFFSET_INDEX, PAGE_HEADER},
    writer::ThriftWriter,
};
