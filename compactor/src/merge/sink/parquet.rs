//! The files of a Parquet block.
//!
//! ```text
//! rows ─▶ row group, filling ─▶ full ─▶ encoded and appended ─▶ shard, until it is full or its column set ends
//! ```

use std::{
    fs::File,
    io::BufWriter,
    path::{Path, PathBuf},
    sync::Arc,
};

use model::{BlockStats, IndexStats, ParquetShard, Resolution};
use parquet_block::{
    Contents, RowGroupBuilder, ShardSchema, ShardWriter, Slices, Symbols, WriteOptions,
};

use super::super::{
    MergeError, MergeOptions, MergeOutput, MergeTarget, column_sets::ColumnSet, limits::Limits,
    rows::Rows,
};

/// Writes shard after shard.
pub(crate) struct ParquetSink {
    dir: PathBuf,
    resolution: Resolution,
    symbols: Arc<dyn Symbols>,
    /// The id of `__name__`.
    metric_name: Option<u32>,
    slices: Slices,
    column_sets: Arc<[ColumnSet]>,
    caps: Caps,
    options: WriteOptions,
    filling: Option<Filling>,
    writer: Option<Writer>,
    done: Vec<ParquetShard>,
    files: Vec<String>,
}

/// When a row group ends, and when a shard.
#[derive(Clone, Copy, Debug)]
struct Caps {
    group_rows: usize,
    group_bytes: usize,
    shard_rows: usize,
    shard_bytes: usize,
}

/// A row group that takes rows.
struct Filling {
    rows: RowGroupBuilder,
    shard: Place,
    schema: ShardSchema,
    /// `__name__` of the last row.
    last_name: Option<u32>,
}

/// Where in the block rows are.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Number of the shard.
    number: u32,
    column_set: usize,
    /// Rows of the shard before those of the row group.
    rows: usize,
    /// Bytes of these rows.
    bytes: usize,
}

/// A shard that is being written.
struct Writer {
    number: u32,
    out: ShardWriter<BufWriter<File>, BufWriter<File>>,
}

impl ParquetSink {
    /// Writes into the target's folder; no file is made before there is a row.
    pub(crate) fn new(
        target: &MergeTarget,
        options: &MergeOptions,
        limits: &Limits,
        slices: Slices,
        column_sets: Arc<[ColumnSet]>,
        symbols: Arc<dyn Symbols>,
        metric_name: Option<u32>,
    ) -> Self {
        Self {
            dir: target.dir.clone(),
            resolution: target.resolution,
            symbols,
            metric_name,
            slices,
            column_sets,
            caps: Caps {
                group_rows: options.row_group_rows,
                group_bytes: limits.row_group_bytes(target.resolution),
                shard_rows: options.shard_rows,
                shard_bytes: options.shard_bytes,
            },
            options: options.write,
            filling: None,
            writer: None,
            done: Vec::new(),
            files: Vec::new(),
        }
    }

    pub(super) fn take(&mut self, rows: Rows, column_set: usize) -> Result<(), MergeError> {
        let (contents, caps) = (self.contents(), self.caps);
        let rows = rows.done();
        for (labels, values) in rows.iter() {
            let name = self.name_of(labels);
            let ended = self.filling.take_if(|filling| {
                filling.shard.column_set != column_set
                    || caps.is_full(filling)
                    || (filling.last_name != name && caps.is_nearly_full(filling))
            });
            let shard = next_place(ended.as_ref(), caps, column_set);
            if let Some(full) = ended {
                self.write(full)?;
            }
            let filling = match &mut self.filling {
                Some(filling) => filling,
                none => {
                    let names = self
                        .column_sets
                        .get(column_set)
                        .map(|column_set| column_set.names.clone());
                    let names = names.unwrap_or_default();
                    let schema = ShardSchema::of(contents, names, self.slices);
                    let symbols = Arc::clone(&self.symbols);
                    none.insert(Filling {
                        rows: RowGroupBuilder::new(&schema, symbols, &self.options),
                        shard,
                        schema,
                        last_name: None,
                    })
                }
            };
            filling.last_name = name;
            filling.rows.push_shared(labels, &values)?;
        }
        Ok(())
    }

    fn contents(&self) -> Contents {
        Contents::of(self.resolution)
    }

    /// The value of `__name__`.
    fn name_of(&self, labels: &[(u32, u32)]) -> Option<u32> {
        let mut labels = labels.iter();
        let name = labels.find(|(name, _)| Some(*name) == self.metric_name);
        name.map(|(_, value)| *value)
    }

    /// Encodes a row group that takes no more rows, and appends it.
    fn write(&mut self, full: Filling) -> Result<(), MergeError> {
        let encoded = full.rows.encode()?;
        if self
            .writer
            .as_ref()
            .is_none_or(|writer| writer.number != full.shard.number)
        {
            self.end_shard()?;
        }
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => {
                let writer = Writer::create(&self.dir, full.shard.number, &full.schema)?;
                none.insert(writer)
            }
        };
        Ok(writer.out.append(encoded)?)
    }

    fn end_shard(&mut self) -> Result<(), MergeError> {
        if let Some(writer) = self.writer.take() {
            self.done.push(writer.out.finish()?);
            self.files.extend(self.contents().files(writer.number));
        }
        Ok(())
    }

    pub(super) fn finish(mut self, stats: BlockStats) -> Result<MergeOutput, MergeError> {
        if let Some(last) = self.filling.take() {
            self.write(last)?;
        }
        self.end_shard()?;
        Ok(MergeOutput {
            resolution: self.resolution,
            shards: self.done,
            stats,
            index_stats: IndexStats::default(),
            files: self.files,
        })
    }
}

/// Where the rows after `full` are, which is the row group before; `column set` is theirs.
fn next_place(full: Option<&Filling>, caps: Caps, column_set: usize) -> Place {
    let mut place = Place {
        number: 0,
        column_set,
        rows: 0,
        bytes: 0,
    };
    if let Some(full) = full {
        place.number = full.shard.number;
        place.rows = full.shard.rows + full.rows.rows();
        place.bytes = full.shard.bytes + full.rows.bytes();
        if full.shard.column_set != column_set
            || place.rows >= caps.shard_rows
            || place.bytes >= caps.shard_bytes
        {
            place = Place {
                number: place.number + 1,
                rows: 0,
                bytes: 0,
                ..place
            };
        }
    }
    place
}

impl Caps {
    fn is_full(&self, filling: &Filling) -> bool {
        let (rows, bytes) = (filling.rows.rows(), filling.rows.bytes());
        rows >= self.group_rows || bytes >= self.group_bytes
    }

    /// Within the last eighth: then a row group ends where a metric does, so that a question for one metric seldom
    /// needs two.
    fn is_nearly_full(&self, filling: &Filling) -> bool {
        let (rows, bytes) = (filling.rows.rows(), filling.rows.bytes());
        rows >= self.group_rows / 8 * 7 || bytes >= self.group_bytes / 8 * 7
    }
}

impl Writer {
    fn create(dir: &Path, number: u32, schema: &ShardSchema) -> Result<Self, MergeError> {
        let create = |name: String| {
            let path = dir.join(name);
            let file = File::create(&path).map_err(MergeError::io(&path))?;
            // Most pages are larger, and written as they are.
            Ok::<_, MergeError>(BufWriter::with_capacity(64 << 10, file))
        };
        let [labels, chunks] = schema.contents().files(number);
        let out = ShardWriter::create(create(labels)?, create(chunks)?, schema)?;
        Ok(Self { number, out })
    }
}
