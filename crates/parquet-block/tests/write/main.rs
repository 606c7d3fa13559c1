//! Files that we write, read by us and by the `parquet` crate.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail by panicking"
)]

mod aggregates;
mod filters;
mod flipped;
mod layout;
mod refused;
mod round_trip;

use std::{collections::BTreeSet, path::Path, sync::Arc};

use bytes::Bytes;
use model::{Labels, ParquetShard};
use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::Field,
};
use parquet_block::{
    Contents, Error, LocalShard, RowGroupBuilder, ShardSchema, ShardWriter, SharedGroup, Slices,
    Symbols, WriteOptions,
};
use tsdb::Chunk;

/// Labels of a series, and the value of each slice.
type Series = (Labels, Vec<Vec<u8>>);

/// Strings in byte order.
struct Table(Vec<Vec<u8>>);

impl Symbols for Table {
    fn get(&self, id: u32) -> &[u8] {
        self.0.get(id as usize).map_or(&[], Vec::as_slice)
    }
}

impl Table {
    fn of<'a>(labels: impl Iterator<Item = &'a Labels>) -> Self {
        let strings: BTreeSet<&[u8]> = labels
            .flat_map(|labels| labels.iter())
            .flat_map(|(name, value)| [name, value])
            .collect();
        Self(strings.into_iter().map(<[u8]>::to_vec).collect())
    }

    fn id(&self, text: &[u8]) -> u32 {
        let place = self.0.binary_search_by(|known| known.as_slice().cmp(text));
        u32::try_from(place.unwrap()).unwrap()
    }

    fn ids(&self, labels: &Labels) -> Vec<(u32, u32)> {
        let ids = labels.iter().map(|(n, v)| (self.id(n), self.id(v)));
        ids.collect()
    }
}

/// The files of a shard.
struct Files {
    contents: Contents,
    labels: Vec<u8>,
    chunks: Vec<u8>,
    shard: ParquetShard,
}

impl Files {
    /// Writes a shard whose row groups have `group_rows` rows.
    fn write(
        series: &[Series],
        slices: Slices,
        options: &WriteOptions,
        group_rows: usize,
    ) -> Result<Self, Error> {
        Self::write_contents(Contents::Chunks, series, slices, options, group_rows)
    }

    /// Writes a shard that holds chunks or aggregates.
    fn write_contents(
        contents: Contents,
        series: &[Series],
        slices: Slices,
        options: &WriteOptions,
        group_rows: usize,
    ) -> Result<Self, Error> {
        let table = Arc::new(Table::of(series.iter().map(|(labels, _)| labels)));
        let names: BTreeSet<&[u8]> = series
            .iter()
            .flat_map(|(labels, _)| labels.iter().map(|(name, _)| name))
            .collect();
        let schema = ShardSchema::of(contents, names, slices);
        let (mut labels, mut chunks) = (Vec::new(), Vec::new());
        let mut writer = ShardWriter::create(&mut labels, &mut chunks, &schema)?;
        for group in series.chunks(group_rows) {
            let symbols: Arc<Table> = Arc::clone(&table);
            let mut builder = RowGroupBuilder::new(&schema, symbols, options);
            for (labels, values) in group {
                let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
                builder.push(&table.ids(labels), &values)?;
            }
            writer.append(builder.encode()?)?;
        }
        let shard = writer.finish()?;
        Ok(Self {
            contents,
            labels,
            chunks,
            shard,
        })
    }

    /// Puts them into a folder.
    fn put(&self, dir: &Path) {
        let [labels, chunks] = self.contents.files(0).map(|name| dir.join(name));
        std::fs::write(labels, &self.labels).unwrap();
        std::fs::write(chunks, &self.chunks).unwrap();
    }

    fn open(&self, dir: &Path) -> LocalShard {
        self.put(dir);
        self.reopen(dir).unwrap()
    }

    /// Opens what is in a folder, whatever has become of it.
    fn reopen(&self, dir: &Path) -> Result<LocalShard, Error> {
        LocalShard::open(dir, 0, self.contents, &ParquetShard::default())
    }
}

/// The chunks of each row as a merge reads them.
fn merged_chunks(local: &LocalShard) -> Result<Vec<Vec<Chunk>>, Error> {
    let mut rows = Vec::new();
    for group in 0..local.shard().row_groups() {
        let count = local.shard().rows(group);
        let shared = Arc::new(SharedGroup::new(count as usize, 1 << 20));
        let mut reader = local.read_rows(group, 0..count, &[], shared);
        for row in 0..count {
            rows.push(reader.chunks(row)?.collect());
        }
    }
    Ok(rows)
}

/// The cells of a file as the generic reader tells them; no entry for a null.
fn generic_rows(file: &[u8]) -> Vec<Vec<(String, Vec<u8>)>> {
    let reader = SerializedFileReader::new(Bytes::copy_from_slice(file)).unwrap();
    let rows = reader.get_row_iter(None).unwrap();
    rows.map(|row| {
        let row = row.unwrap();
        row.get_column_iter()
            .filter_map(|(name, field)| match field {
                Field::Null => None,
                Field::Str(text) => Some((name.clone(), text.clone().into_bytes())),
                Field::Bytes(bytes) => Some((name.clone(), bytes.data().to_vec())),
                other => panic!("{name}: {other:?}"),
            })
            .collect()
    })
    .collect()
}

/// The values of one column as the generic reader tells them.
fn generic_column(file: &[u8], column: &str) -> Vec<Vec<u8>> {
    let rows = generic_rows(file).into_iter();
    rows.map(|row| row.into_iter().find(|(name, _)| name == column).unwrap().1)
        .collect()
}

fn labels<const N: usize>(pairs: [(&str, &str); N]) -> Labels {
    Labels::from_pairs(pairs)
}
