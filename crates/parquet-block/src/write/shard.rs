//! Writes the two files of a shard.

use std::io::Write;

use model::{Labels, METRIC_NAME, ParquetShard};

use super::{row_group::EncodedRowGroup, schema::ShardSchema};
use crate::{
    error::Error,
    format::file::FileWriter,
    layout::{contents::Contents, schema},
};

/// Writes the labels file and the chunks or aggregates file of a shard, row group by row group.
#[derive(Debug)]
pub struct ShardWriter<L, C> {
    labels: FileWriter<L>,
    chunks: FileWriter<C>,
    shard: ParquetShard,
    contents: Contents,
    /// How long the longest chunk is, milliseconds; of aggregates only.
    longest: i64,
    /// The first value of `__name__`.
    first_name: Vec<u8>,
    /// The labels of the last row.
    last: Option<Labels>,
}

impl<L: Write, C: Write> ShardWriter<L, C> {
    /// Begins the two files.
    ///
    /// # Errors
    /// When they cannot be written to, or the schema has more columns than readers take.
    pub fn create(labels: L, chunks: C, schema: &ShardSchema) -> Result<Self, Error> {
        schema.check()?;
        let slices = schema.slices();
        let key_values = || {
            vec![
                (schema::DURATION_KEY, slices.duration().to_string()),
                (schema::MAX_TIME_KEY, slices.max().to_string()),
                (schema::MIN_TIME_KEY, slices.min().to_string()),
                (schema::CHECKSUMS_KEY, schema::CHECKSUMS.to_owned()),
            ]
        };
        Ok(Self {
            labels: FileWriter::create(
                labels,
                "labels file",
                schema.labels_columns(),
                key_values(),
            )?,
            chunks: FileWriter::create(
                chunks,
                schema.contents().file_kind(),
                schema
                    .data_columns()
                    .into_iter()
                    .map(|(_, column)| column)
                    .collect(),
                key_values(),
            )?,
            shard: ParquetShard::default(),
            contents: schema.contents(),
            longest: 0,
            first_name: Vec::new(),
            last: None,
        })
    }

    /// Appends a row group, which is let go. One without rows is left out.
    ///
    /// # Errors
    /// When its rows are not after those before, or it is of another schema, or cannot be written.
    pub fn append(&mut self, group: EncodedRowGroup) -> Result<(), Error> {
        if group.rows == 0 {
            return Ok(());
        }
        let [first, last] = group.ends;
        if let Some(before) = &self.last
            && key(before) >= key(&first)
        {
            return Err(Error::layout(format!(
                "row group begins with {first}, which is not after {before}"
            )));
        }
        self.labels.append(&group.labels, group.sorted_by)?;
        // The chunks file has no column that its rows are sorted by.
        self.chunks.append(&group.chunks, None)?;
        if self.last.is_none() {
            self.first_name = key(&first).0.to_owned();
        }
        self.shard.rows += group.rows as u64;
        self.shard.row_groups += 1;
        self.longest = self.longest.max(group.longest);
        self.last = Some(last);
        Ok(())
    }

    /// Writes the ends of the files; tells what `meta.json` says of the shard.
    ///
    /// # Errors
    /// [`Error::Empty`] if there are no rows: what is written then is no file. Otherwise, when the files cannot be
    /// written.
    pub fn finish(mut self) -> Result<ParquetShard, Error> {
        if self.shard.rows == 0 {
            return Err(Error::Empty);
        }
        let last_name = self.last.as_ref().map_or(&[][..], |last| key(last).0);
        // JSON holds text alone; who reads it takes none for any.
        if let (Ok(min), Ok(max)) = (str::from_utf8(&self.first_name), str::from_utf8(last_name)) {
            (self.shard.min_name, self.shard.max_name) = (min.to_owned(), max.to_owned());
        }
        let labels = self.labels.finish()?;
        self.shard.labels_bytes = labels.size;
        self.shard.labels_footer = Some(labels.footer);
        if self.contents == Contents::Aggregates {
            self.chunks
                .add_key_value(schema::MAX_CHUNK_KEY, self.longest.to_string());
        }
        let chunks = self.chunks.finish()?;
        self.shard.chunks_bytes = chunks.size;
        self.shard.chunks_footer = Some(chunks.footer);
        Ok(self.shard)
    }
}

/// What rows are sorted by.
fn key(labels: &Labels) -> (&[u8], &Labels) {
    (labels.get(METRIC_NAME).unwrap_or_default(), labels)
}
