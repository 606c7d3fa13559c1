//! Thrift's compact protocol, as far as Parquet's metadata are read and written here; `reader` draws it.
//! `shape` says what the structs of a file are made of.

mod reader;
mod shape;
mod writer;

pub(crate) use self::{
    reader::{Kind, ThriftReader},
    shape::{COLUMN_INDEX, FILE_METADATA, OFFSET_INDEX, PAGE_HEADER},
    writer::ThriftWriter,
};
