//! One file in one of the formats.

use std::{
    io::{self, Write},
    sync::Arc,
};

use arrow_array::RecordBatch;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_schema::ArrowError;
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, Encoding, ZstdLevel},
    errors::ParquetError,
    file::properties::{EnabledStatistics, WriterProperties},
    schema::types::ColumnPath,
};

use crate::{
    Layout,
    csv_rows::CsvRows,
    layout::{TIMESTAMP, VALUE},
};

/// Rows of a row group: as many as a reader decodes at once.
const ROW_GROUP: usize = 1 << 20;
/// zstd's level. Higher ones gain little after the encodings.
const LEVEL: i32 = 1;

/// The format of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Parquet, with zstd.
    Parquet,
    /// Arrow IPC, the streaming format.
    Arrow,
    /// CSV with a header.
    Csv,
}

impl Format {
    /// The suffix of a file's name.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Arrow => "arrows",
            Self::Csv => "csv",
        }
    }
}

/// A file in progress.
pub(crate) enum FileWriter<W: Write + Send> {
    Parquet(Box<ArrowWriter<W>>),
    Arrow(Box<StreamWriter<W>>),
    Csv(Box<CsvRows<W>>),
}

/// Why a file cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    #[error(transparent)]
    Parquet(#[from] ParquetError),
}

impl<W: Write + Send> FileWriter<W> {
    pub(crate) fn new(layout: &Layout, to: W) -> Result<Self, WriteError> {
        let schema = &layout.schema;
        Ok(match layout.format {
            Format::Parquet => {
                let writer =
                    ArrowWriter::try_new(to, Arc::clone(schema), Some(properties(layout)?))?;
                Self::Parquet(Box::new(writer))
            }
            Format::Arrow => {
                let options = IpcWriteOptions::default();
                let writer = StreamWriter::try_new_with_options(to, schema, options)?;
                Self::Arrow(Box::new(writer))
            }
            Format::Csv => Self::Csv(Box::new(CsvRows::new(layout, to)?)),
        })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), WriteError> {
        match self {
            Self::Parquet(writer) => writer.write(batch)?,
            Self::Arrow(writer) => writer.write(batch)?,
            Self::Csv(writer) => writer.write(batch)?,
        }
        Ok(())
    }

    /// Writes the rest.
    pub(crate) fn finish(self) -> Result<W, WriteError> {
        Ok(match self {
            Self::Parquet(writer) => writer.into_inner()?,
            Self::Arrow(mut writer) => {
                writer.finish()?;
                writer.into_inner()?
            }
            Self::Csv(writer) => writer.finish()?,
        })
    }
}

/// The encodings with the fewest bytes for samples: deltas for times, split bytes for floats.
fn properties(layout: &Layout) -> Result<WriterProperties, ParquetError> {
    let path = |name: &str| ColumnPath::new(vec![name.to_owned()]);
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(LEVEL)?))
        .set_max_row_group_row_count(Some(ROW_GROUP))
        .set_statistics_enabled(EnabledStatistics::Page);
    for field in layout.schema.fields().iter().skip(layout.labels.len()) {
        let (name, column) = (field.name(), path(field.name()));
        if name == TIMESTAMP {
            properties = properties
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
        } else if field.data_type().is_floating() {
            properties = properties
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_statistics_enabled(column.clone(), statistics_of(name))
                .set_column_encoding(column, Encoding::BYTE_STREAM_SPLIT);
        }
    }
    Ok(properties.build())
}

/// Bounds by which a reader may skip pages. Values of samples are rarely filtered by a bound.
fn statistics_of(name: &str) -> EnabledStatistics {
    if name == VALUE {
        EnabledStatistics::Chunk
    } else {
        EnabledStatistics::None
    }
}
