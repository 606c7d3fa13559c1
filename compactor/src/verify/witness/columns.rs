//! What the columns of a shard mean, told by their names, and the chunks of a row put together from them.

use bytes::Bytes;
use model::{Aggregate, TimeRange, Timestamp};
use parquet_block::{Contents, Slices, envelope};
use tsdb::{AggregateChunk, Aggregates, Chunk, DownsampledChunk};

/// A column of a label.
pub(super) struct LabelColumn {
    /// Which column of the file it is.
    pub(super) place: usize,
    pub(super) label: Vec<u8>,
}

/// A column of chunks, or of an aggregate.
pub(super) struct DataColumn {
    /// Which column of the file it is.
    pub(super) place: usize,
    pub(super) name: String,
    pub(super) slice: usize,
    pub(super) aggregate: Option<Aggregate>,
}

/// The columns of labels among those called `names`.
pub(super) fn label_columns(names: &[&str]) -> Result<Vec<LabelColumn>, String> {
    let mut columns = Vec::<LabelColumn>::new();
    for (place, name) in names.iter().enumerate() {
        let label = match (name.strip_prefix("l_"), name.strip_prefix("x_")) {
            (Some(label), _) => label.as_bytes().to_vec(),
            (None, Some(hex)) => from_hex(hex).ok_or_else(|| format!("column {name:?}"))?,
            (None, None) => continue,
        };
        if columns.last().is_some_and(|last| last.label >= label) {
            return Err(format!(
                "expected a column after the one before, found {name:?}"
            ));
        }
        columns.push(LabelColumn { place, label });
    }
    Ok(columns)
}

fn from_hex(hex: &str) -> Option<Vec<u8>> {
    let bytes = (0..hex.len()).step_by(2);
    let bytes = bytes.map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok());
    bytes.collect()
}

/// The columns of `contents` among those called `names`: those of all slices.
pub(super) fn data_columns(
    names: &[&str],
    contents: Contents,
    slices: &Slices,
) -> Result<Vec<DataColumn>, String> {
    let mut columns = Vec::new();
    for (place, name) in names.iter().enumerate() {
        let column = column_of(name, contents).filter(|(slice, _)| *slice < slices.count());
        let (slice, aggregate) = column.ok_or_else(|| format!("column {name:?}"))?;
        columns.push(DataColumn {
            place,
            name: (*name).to_owned(),
            slice,
            aggregate,
        });
    }
    columns.sort_by_key(|column| (column.slice, column.aggregate));
    let of_slice = match contents {
        Contents::Chunks => 1,
        Contents::Aggregates => Aggregate::ALL.len(),
    };
    let distinct = columns.windows(2).all(|pair| match pair {
        [a, b] => (a.slice, a.aggregate) != (b.slice, b.aggregate),
        _ => true,
    });
    let expected = slices.count().saturating_mul(of_slice);
    if distinct && columns.len() == expected {
        Ok(columns)
    } else {
        Err(format!("expected {expected} columns, found {names:?}"))
    }
}

fn column_of(name: &str, contents: Contents) -> Option<(usize, Option<Aggregate>)> {
    let (kind, slice) = name.strip_prefix("s_")?.rsplit_once('_')?;
    let aggregate = match contents {
        Contents::Chunks if kind == "data" => None,
        Contents::Chunks => return None,
        Contents::Aggregates => {
            let mut all = Aggregate::ALL.into_iter();
            Some(all.find(|aggregate| aggregate.name() == kind)?)
        }
    };
    Some((slice.parse().ok()?, aggregate))
}

/// The columns that a value of `s_col_indexes` lists: zig-zag varints, first their number.
pub(super) fn listed_columns(list: &[u8]) -> Option<Vec<usize>> {
    let (mut numbers, mut number, mut shift) = (Vec::new(), 0_u64, 0);
    for byte in list {
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        shift += 7;
        if byte & 0x80 == 0 {
            // A negative number is odd.
            let even = number.is_multiple_of(2);
            numbers.push(usize::try_from(number / 2).ok().filter(|_| even)?);
            (number, shift) = (0, 0);
        }
    }
    let (count, columns) = numbers.split_first()?;
    (shift == 0 && *count == columns.len()).then(|| columns.to_vec())
}

/// The chunks of a row.
pub(super) struct RowChunks {
    slices: Slices,
    chunks: Vec<Chunk>,
    aggregates: Vec<(Aggregate, Chunk)>,
}

impl RowChunks {
    pub(super) fn new(slices: Slices) -> Self {
        Self {
            slices,
            chunks: Vec::new(),
            aggregates: Vec::new(),
        }
    }

    /// Takes the row's value in a column; what is wrong with it otherwise.
    pub(super) fn push(&mut self, column: &DataColumn, value: &Bytes) -> Result<(), String> {
        for chunk in envelope::decode(value) {
            let chunk = chunk.map_err(|fault| fault.reason)?;
            self.check_slice(column, &chunk)?;
            match column.aggregate {
                None => self.chunks.push(chunk),
                Some(aggregate) => self.aggregates.push((aggregate, chunk)),
            }
        }
        Ok(())
    }

    /// A chunk of samples lies in its slice, a downsampled one begins there.
    fn check_slice(&self, column: &DataColumn, chunk: &Chunk) -> Result<(), String> {
        let within = |t: Timestamp| self.slices.nearest(t) == column.slice;
        let (min, max) = (chunk.min, chunk.max);
        if within(min) && (within(max) || column.aggregate.is_some()) {
            return Ok(());
        }
        let TimeRange { min: from, max: to } = self.slices.range(column.slice);
        Err(format!(
            "chunk from {min} to {max} in the slice from {from} to {to}"
        ))
    }

    /// The chunks of the row: of raw samples as they are stored, of aggregates joined; what is wrong with them otherwise.
    /// Begins with the next row.
    pub(super) fn take(&mut self) -> Result<Vec<Chunk>, String> {
        let mut chunks = std::mem::take(&mut self.chunks);
        let times = |chunk: &Chunk| (chunk.min, chunk.max);
        self.aggregates.sort_by_key(|(_, chunk)| times(chunk));
        for parts in self
            .aggregates
            .chunk_by(|(_, a), (_, b)| times(a) == times(b))
        {
            let mut aggregates = Aggregates::default();
            for (aggregate, chunk) in parts {
                let part = AggregateChunk {
                    encoding: chunk.encoding,
                    data: chunk.data.clone(),
                };
                let place = aggregates.get_mut(*aggregate as usize);
                if place.is_some_and(|place| place.replace(part).is_some()) {
                    let (name, (min, max)) = (aggregate.name(), times(chunk));
                    return Err(format!("two of {name} from {min} to {max}"));
                }
            }
            if let Some((_, chunk)) = parts.first() {
                let (min, max) = times(chunk);
                let chunk = DownsampledChunk {
                    min,
                    max,
                    aggregates,
                };
                chunks.push(chunk.pack());
            }
        }
        self.aggregates.clear();
        Ok(chunks)
    }
}
