//! A reader of Parquet shards by `arrow`. It shares no code of the container with what writes them; of the chunks it
//! shares the envelope, which has its own tests.
//!
//! It reads one row group at a time, in batches of rows, from the files that the merge has just written: it does not
//! guard against malicious bytes. What the files state twice is compared:
//!
//! - pages with their checksums, and with their places in the page index;
//! - the labels of a row with the hash of its labels and with the list of its columns;
//! - the chunks of a column with the times of its slice.

mod columns;
mod source;

use std::{path::Path, sync::Arc};

use arrow_array::{Array, BinaryArray, BinaryViewArray, RecordBatch};
use arrow_data::{ByteView, MAX_INLINE_VIEW_LEN};
use arrow_schema::{DataType, Field, Schema};
use bytes::Bytes;
use model::{Labels, Timestamp};
use parquet::{
    arrow::{
        ProjectionMask,
        arrow_reader::{
            ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
            ParquetRecordBatchReaderBuilder,
        },
    },
    basic::Type as PhysicalType,
    file::metadata::{
        FileMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataOptions,
        ParquetMetaDataReader,
    },
    schema::types::{SchemaDescPtr, SchemaDescriptor, Type},
};
use parquet_block::{Contents, Error, Slices};
use tsdb::Chunk;

use self::{
    columns::{DataColumn, LabelColumn, RowChunks, data_columns, label_columns, listed_columns},
    source::Source,
};
use crate::CompactError;

/// The most rows of a batch, and the most bytes that it should have.
const BATCH_ROWS: usize = 512;
const BATCH_BYTES: usize = 4 << 20;

const COL_INDEXES: &str = "s_col_indexes";
const SERIES_HASH: &str = "s_series_hash";

/// The two files of a shard.
pub(crate) struct Witness {
    labels: Opened,
    chunks: Opened,
    slices: Slices,
    label_columns: Vec<LabelColumn>,
    data_columns: Vec<DataColumn>,
    /// The places of the columns of lists and of hashes.
    lists: usize,
    hashes: usize,
}

/// A file with what its end says.
struct Opened {
    source: Source,
    metadata: ArrowReaderMetadata,
}

/// The values of a column of chunks, as slices of the pages that they are in.
struct Values<'a> {
    array: &'a BinaryViewArray,
    pages: Vec<Bytes>,
}

/// The rows of a file's row group, batch by batch.
struct Batches<'a> {
    file: &'a Opened,
    reader: ParquetRecordBatchReader,
    /// Which columns are read.
    columns: Vec<usize>,
}

impl Witness {
    /// Opens the two files of shard `number` of the block in `dir`.
    ///
    /// # Errors
    /// When one cannot be read, or is not laid out as such a file is.
    pub(crate) fn open(dir: &Path, number: u32, contents: Contents) -> Result<Self, CompactError> {
        let [labels, chunks] = contents.files(number).map(|name| dir.join(name));
        let labels = Opened::open(&labels, &DataType::Binary)?;
        // Chunks are not copied out of their pages.
        let chunks = Opened::open(&chunks, &DataType::BinaryView)?;
        if labels.rows() != chunks.rows() {
            let (expected, found) = (labels.rows(), chunks.rows());
            let reason = format!("row groups: expected {expected:?} rows, found {found:?}");
            return Err(chunks.source.corrupt(reason).into());
        }
        let slices = chunks.slices()?;
        let names = labels.column_names();
        let place = |name: &str| {
            let place = names.iter().position(|column| *column == name);
            place.ok_or_else(|| labels.source.corrupt(format!("column {name} is missing")))
        };
        let (lists, hashes) = (place(COL_INDEXES)?, place(SERIES_HASH)?);
        let label_columns =
            label_columns(&names).map_err(|reason| labels.source.corrupt(reason))?;
        let data_columns = data_columns(&chunks.column_names(), contents, &slices)
            .map_err(|reason| chunks.source.corrupt(reason))?;
        Ok(Self {
            label_columns,
            data_columns,
            lists,
            hashes,
            slices,
            labels,
            chunks,
        })
    }

    /// How many row groups there are.
    pub(crate) fn row_groups(&self) -> usize {
        self.labels.metadata.metadata().num_row_groups()
    }

    /// Reads a row group: `take` gets the labels and all chunks of each row.
    ///
    /// # Errors
    /// When a file cannot be read, is damaged, or says two different things; what `take` refuses.
    pub(crate) fn read(
        &self,
        group: usize,
        mut take: impl FnMut(Labels, &[Chunk]) -> Result<(), CompactError>,
    ) -> Result<(), CompactError> {
        let rows = self.batch_rows(group);
        // A column of nulls only takes longer than one with values.
        let with_values = |column: &LabelColumn| !self.labels.all_null(group, column.place);
        let named = self
            .label_columns
            .iter()
            .filter(|column| with_values(column));
        let named: Vec<&LabelColumn> = named.collect();
        let places = named.iter().map(|column| column.place);
        let wanted: Vec<usize> = places.chain([self.lists, self.hashes]).collect();
        let mut labels = self.labels.batches(group, wanted, rows)?;
        let data = self.data_columns.iter().map(|column| column.place);
        let mut chunks = self.chunks.batches(group, data.collect(), rows)?;
        let mut row_chunks = RowChunks::new(self.slices);
        loop {
            let (of_labels, of_chunks) = (labels.next()?, chunks.next()?);
            let (Some(of_labels), Some(of_chunks)) = (of_labels, of_chunks) else {
                return Ok(());
            };
            let names = self.labels_of(&named, &labels, &of_labels)?;
            let values = self.data_columns.iter().map(|column| {
                let array = chunks.column(&of_chunks, column.place)?;
                Ok((column, Values::new(array)))
            });
            let values = values.collect::<Result<Vec<_>, Error>>()?;
            if names.len() != of_chunks.num_rows() {
                let found = of_chunks.num_rows();
                let reason = format!("expected {} rows, found {found}", names.len());
                return Err(self.chunks.source.corrupt(reason).into());
            }
            for (row, labels) in names.into_iter().enumerate() {
                for (column, values) in &values {
                    row_chunks
                        .push(column, &values.get(row))
                        .map_err(|reason| {
                            let reason = format!("{reason}, in {} of {labels}", column.name);
                            self.chunks.source.corrupt(reason)
                        })?;
                }
                let chunks = row_chunks.take().map_err(|reason| {
                    self.chunks.source.corrupt(format!("{reason}, of {labels}"))
                })?;
                take(labels, &chunks)?;
            }
        }
    }

    /// The labels of the rows of a batch.
    fn labels_of(
        &self,
        columns: &[&LabelColumn],
        batches: &Batches<'_>,
        batch: &RecordBatch,
    ) -> Result<Vec<Labels>, Error> {
        let arrays = columns.iter().map(|column| {
            let array: &BinaryArray = batches.column(batch, column.place)?;
            Ok((*column, array))
        });
        let arrays = arrays.collect::<Result<Vec<_>, Error>>()?;
        let lists: &BinaryArray = batches.column(batch, self.lists)?;
        let hashes: &BinaryArray = batches.column(batch, self.hashes)?;
        let mut all = Vec::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            let present = arrays.iter().filter(|(_, array)| array.is_valid(row));
            let places: Vec<usize> = present.clone().map(|(column, _)| column.place).collect();
            let pairs = present.map(|(column, array)| (&column.label, array.value(row)));
            let labels = Labels::from_sorted(pairs);
            let listed = listed_columns(lists.value(row));
            if listed.as_ref() != Some(&places) {
                let reason =
                    format!("{COL_INDEXES} of {labels}: expected {places:?}, found {listed:?}");
                return Err(self.labels.source.corrupt(reason));
            }
            let (expected, found) = (labels.stable_hash(), hashes.value(row));
            if expected.to_be_bytes() != found {
                let reason = format!(
                    "{SERIES_HASH} of {labels}: expected {expected:016x}, found {found:02x?}"
                );
                return Err(self.labels.source.corrupt(reason));
            }
            all.push(labels);
        }
        Ok(all)
    }

    /// How many rows of a row group are read at once.
    fn batch_rows(&self, group: usize) -> usize {
        let groups =
            [&self.labels, &self.chunks].map(|file| file.metadata.metadata().row_group(group));
        let [labels, chunks] = groups.map(|group| group.total_byte_size());
        let bytes = usize::try_from(labels.saturating_add(chunks)).unwrap_or(usize::MAX);
        let rows = groups.map(|group| group.num_rows()).into_iter().max();
        let rows = usize::try_from(rows.unwrap_or_default()).unwrap_or_default();
        let of_row = bytes / rows.max(1);
        (BATCH_BYTES / of_row.max(1)).clamp(1, BATCH_ROWS)
    }
}

impl Opened {
    /// Opens a file whose columns are read as arrays of this type.
    fn open(path: &Path, columns: &DataType) -> Result<Self, Error> {
        let source = Source::open(path)?;
        let metadata = Self::metadata(&source, columns).map_err(|error| source.error(&error))?;
        Ok(Self { source, metadata })
    }

    fn metadata(
        source: &Source,
        columns: &DataType,
    ) -> Result<ArrowReaderMetadata, parquet::errors::ParquetError> {
        let first = ParquetMetaDataReader::new().parse_and_finish(source)?;
        // All columns as bytes, as the values of labels need not be UTF-8.
        let schema = as_bytes(first.file_metadata())?;
        let options = ParquetMetaDataOptions::new().with_schema(schema);
        let metadata = ParquetMetaDataReader::new()
            .with_metadata_options(Some(options))
            .with_page_index_policy(PageIndexPolicy::Required)
            .parse_and_finish(source)?;
        let fields = metadata.file_metadata().schema_descr().columns().iter();
        let fields = fields.map(|column| {
            let optional = column.self_type().is_optional();
            Field::new(column.name(), columns.clone(), optional)
        });
        let arrays = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let options = ArrowReaderOptions::new()
            .with_skip_arrow_metadata(true)
            .with_schema(arrays);
        ArrowReaderMetadata::try_new(Arc::new(metadata), options)
    }

    fn parquet(&self) -> &ParquetMetaData {
        self.metadata.metadata()
    }

    fn column_names(&self) -> Vec<&str> {
        let columns = self.parquet().file_metadata().schema_descr().columns();
        columns.iter().map(|column| column.name()).collect()
    }

    /// The rows of each row group.
    fn rows(&self) -> Vec<i64> {
        let groups = self.parquet().row_groups().iter();
        groups.map(|group| group.num_rows()).collect()
    }

    /// The time slices of the columns.
    fn slices(&self) -> Result<Slices, Error> {
        let pairs = self.parquet().file_metadata().key_value_metadata();
        let number = |key: &str| {
            let pair = pairs.into_iter().flatten().find(|pair| pair.key == key);
            let value = pair.and_then(|pair| pair.value.as_deref()?.parse::<i64>().ok());
            value.ok_or_else(|| self.source.corrupt(format!("no number {key}")))
        };
        let (min, last) = (number("minT")?, number("maxT")?);
        let duration = number("data_col_duration_ms")?;
        let end = Timestamp(last.saturating_add(1));
        Ok(Slices::new(Timestamp(min), end, duration))
    }

    /// Whether a column has no value in a row group, as its statistics say.
    fn all_null(&self, group: usize, column: usize) -> bool {
        let group = self.parquet().row_group(group);
        let nulls = group.column(column).statistics();
        let nulls = nulls.and_then(|statistics| statistics.null_count_opt());
        nulls.is_some() && nulls == u64::try_from(group.num_rows()).ok()
    }

    fn batches(
        &self,
        group: usize,
        columns: Vec<usize>,
        rows: usize,
    ) -> Result<Batches<'_>, Error> {
        let schema = self.parquet().file_metadata().schema_descr();
        let mask = ProjectionMask::leaves(schema, columns.iter().copied());
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(
            self.source.clone(),
            self.metadata.clone(),
        )
        .with_row_groups(vec![group])
        .with_projection(mask)
        .with_batch_size(rows)
        .build()
        .map_err(|error| self.source.error(&error))?;
        let mut columns = columns;
        columns.sort_unstable();
        Ok(Batches {
            file: self,
            reader,
            columns,
        })
    }
}

impl<'a> Values<'a> {
    fn new(array: &'a BinaryViewArray) -> Self {
        let pages = array.data_buffers().iter();
        let pages = pages.map(|page| Bytes::from_owner(page.clone())).collect();
        Self { array, pages }
    }

    /// The value of a row; empty if there is none.
    fn get(&self, row: usize) -> Bytes {
        if self.array.is_null(row) {
            return Bytes::new();
        }
        let view = self.array.views().get(row).copied().map(ByteView::from);
        let long = view.filter(|view| view.length > MAX_INLINE_VIEW_LEN);
        let page = long.and_then(|view| Some((view, self.pages.get(view.buffer_index as usize)?)));
        match page {
            Some((view, page)) => {
                let start = view.offset as usize;
                page.slice(start..start + view.length as usize)
            }
            None => Bytes::copy_from_slice(self.array.value(row)),
        }
    }
}

impl Batches<'_> {
    fn next(&mut self) -> Result<Option<RecordBatch>, Error> {
        let batch = self.reader.next().transpose();
        batch.map_err(|error| self.file.source.error(&error))
    }

    /// The values of the file's column at `place`.
    fn column<'b, A: 'static>(&self, batch: &'b RecordBatch, place: usize) -> Result<&'b A, Error> {
        let column = self.columns.binary_search(&place).ok();
        let column = column.and_then(|column| batch.columns().get(column));
        column
            .and_then(|column| column.as_any().downcast_ref())
            .ok_or_else(|| {
                self.file
                    .source
                    .corrupt(format!("column {place} is not of bytes"))
            })
    }
}

/// The schema of a file, without what its columns mean.
fn as_bytes(file: &FileMetaData) -> Result<SchemaDescPtr, parquet::errors::ParquetError> {
    let columns = file.schema_descr().columns().iter().map(|column| {
        let repetition = column.self_type().get_basic_info().repetition();
        let column = Type::primitive_type_builder(column.name(), PhysicalType::BYTE_ARRAY);
        column.with_repetition(repetition).build().map(Arc::new)
    });
    let fields = columns.collect::<Result<_, _>>()?;
    let root = Type::group_type_builder(file.schema_descr().name()).with_fields(fields);
    Ok(Arc::new(SchemaDescriptor::new(Arc::new(root.build()?))))
}

#[cfg(test)]
mod tests;
