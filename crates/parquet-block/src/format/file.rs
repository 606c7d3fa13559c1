//! A file as a whole; `writer` draws it. What is read of one is in `footer`.

mod column;
mod metadata;
mod writer;

pub(crate) use self::{
    column::{ByteEncoding, Column, ColumnKind},
    writer::FileWriter,
};
