//! Thrift's compact protocol, as far as Parquet's metadata are read and written here; `reader` draws it.

mod reader;
mod writer;

pub(crate) use self::{
    reader::{Kind, ThriftReader},
    writer::ThriftWriter,
};
