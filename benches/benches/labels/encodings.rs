//! The values of columns written by the `parquet` crate in each encoding that Parquet has for strings, and read back.

use std::{collections::HashSet, fs::File, hint::black_box, path::Path, sync::Arc};

use anyhow::{Context, bail};
use benches::median_cpu_ms;
use bytes::Bytes;
use parquet::{
    basic::{Compression, Encoding, Repetition, Type as PhysicalType, ZstdLevel},
    column::reader::ColumnReader,
    data_type::{ByteArray, ByteArrayType},
    file::{
        properties::{WriterProperties, WriterVersion},
        reader::{FileReader, SerializedFileReader},
        writer::SerializedFileWriter,
    },
    schema::types::Type,
};
use parquet_block::{
    Contents, LocalShard, PageOptions, Projection, RowRanges, WriteOptions, chunks_file,
    labels_file,
};

/// Rows of a column that are read for one figure at least: of less the kernel does not tell the CPU time.
const ROWS: i64 = 1_000_000;

/// Cells of a column in one row group, of which some may be null.
#[derive(Debug, Default)]
struct Cells {
    values: Vec<ByteArray>,
    /// One a row.
    present: Vec<i16>,
}

#[derive(Clone, Copy, Debug)]
enum Values {
    Dictionary,
    Each(Encoding),
}

const ALL: [Values; 4] = [
    Values::Dictionary,
    Values::Each(Encoding::PLAIN),
    Values::Each(Encoding::DELTA_LENGTH_BYTE_ARRAY),
    Values::Each(Encoding::DELTA_BYTE_ARRAY),
];

/// Tries the encodings on the columns of labels.
pub(crate) fn of_labels(dir: &Path) -> anyhow::Result<()> {
    let shard = LocalShard::open(dir, 0, Contents::Chunks, &model::ParquetShard::default())?;
    let group = |group: usize| {
        let rows = RowRanges::all(shard.shard().rows(group));
        let rows = shard.answer(shard.shard().labels(group, rows, Projection::All))?;
        let names = shard.shard().label_names();
        let column = |name: &[u8]| Cells::of(rows.iter().map(|labels| labels.get(name)));
        Ok(names.map(column).collect())
    };
    let groups = (0..shard.shard().row_groups()).map(group);
    let groups: Vec<Vec<Cells>> = groups.collect::<anyhow::Result<_>>()?;
    attempt(&groups, &WriteOptions::default().labels)?;
    let file = Bytes::from(std::fs::read(dir.join(labels_file(0)))?);
    ours(&file, "l_")
}

/// Tells how many values of the columns of chunks differ, and tries the encodings where all fit in memory.
pub(crate) fn of_chunks(dir: &Path) -> anyhow::Result<()> {
    /// Of the file.
    const MOST: u64 = 64 << 20;

    let file = File::open(dir.join(chunks_file(0)))?;
    let size = file.metadata()?.len();
    let reader = SerializedFileReader::new(file)?;
    let mut groups = Vec::new();
    let (mut all, mut distinct) = ((0, 0), (0, 0));
    for group in 0..reader.num_row_groups() {
        let mut columns = Vec::new();
        for column in 0..reader.get_row_group(group)?.num_columns() {
            let cells = read(&reader, group, column)?;
            let values = cells.values.iter().map(ByteArray::data);
            let values = values.filter(|value| !value.is_empty());
            let add = |(n, bytes), value: &[u8]| (n + 1, bytes + value.len());
            all = values.clone().fold(all, add);
            let different: HashSet<&[u8]> = values.collect();
            distinct = different.into_iter().fold(distinct, add);
            if size <= MOST {
                columns.push(cells);
            }
        }
        groups.push(columns);
    }
    println!(
        "values of chunk columns: {} of {} bytes, {} distinct ones of {} bytes",
        all.0, all.1, distinct.0, distinct.1
    );
    if size <= MOST {
        attempt(&groups, &WriteOptions::default().chunks)?;
    }
    Ok(())
}

/// What the columns of a file of ours take whose names begin with `prefix`, and what reading them costs.
fn ours(file: &Bytes, prefix: &str) -> anyhow::Result<()> {
    let reader = SerializedFileReader::new(file.clone())?;
    let columns = reader.metadata().file_metadata().schema_descr().columns();
    let of_labels = columns
        .iter()
        .enumerate()
        .filter(|(_, column)| column.name().starts_with(prefix));
    let of_labels: Vec<usize> = of_labels.map(|(place, _)| place).collect();
    let (read, bytes) = read_all(std::slice::from_ref(file), &of_labels)?;
    println!("as we write them: {bytes} bytes, read in {read:.3} ms CPU");
    Ok(())
}

/// Writes all columns in each encoding, a file for each row group.
fn attempt(groups: &[Vec<Cells>], pages: &PageOptions) -> anyhow::Result<()> {
    for values in ALL {
        let files = groups.iter().map(|columns| write(columns, values, pages));
        let files: Vec<Bytes> = files.collect::<anyhow::Result<_>>()?;
        let columns: Vec<usize> = (0..groups.first().map_or(0, Vec::len)).collect();
        let (read, bytes) = read_all(&files, &columns)?;
        println!("{values:?}: {bytes} bytes, read in {read:.3} ms CPU");
    }
    Ok(())
}

/// What reading all values of these columns costs, in milliseconds of CPU time, and the bytes that the columns take.
fn read_all(files: &[Bytes], columns: &[usize]) -> anyhow::Result<(f64, i64)> {
    let readers = files
        .iter()
        .map(|file| SerializedFileReader::new(file.clone()));
    let readers = readers.collect::<Result<Vec<_>, _>>()?;
    let (mut rows, mut bytes) = (0, 0);
    let groups = readers.iter().flat_map(|r| r.metadata().row_groups());
    for group in groups {
        rows += group.num_rows();
        let sizes = columns.iter().map(|c| group.column(*c).compressed_size());
        bytes += sizes.sum::<i64>();
    }
    let times = 1 + ROWS / rows.max(1);
    let ((), ms) = median_cpu_ms(|| {
        for _ in 0..times {
            for reader in &readers {
                for group in 0..reader.num_row_groups() {
                    for column in columns {
                        black_box(read(reader, group, *column)?);
                    }
                }
            }
        }
        Ok(())
    })?;
    Ok((ms / times as f64, bytes))
}

fn read(reader: &dyn FileReader, group: usize, column: usize) -> anyhow::Result<Cells> {
    let group = reader.get_row_group(group)?;
    let rows = usize::try_from(group.metadata().num_rows())?;
    let ColumnReader::ByteArrayColumnReader(mut column) = group.get_column_reader(column)? else {
        bail!("column {column} holds no strings");
    };
    let mut cells = Cells::default();
    let (read, _, _) =
        column.read_records(rows, Some(&mut cells.present), None, &mut cells.values)?;
    anyhow::ensure!(read == rows, "{read} rows read of {rows}");
    // Levels are not told of a column without nulls.
    cells.present.resize(rows, 1);
    Ok(cells)
}

fn write(columns: &[Cells], values: Values, pages: &PageOptions) -> anyhow::Result<Bytes> {
    let builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(pages.zstd_level)?))
        .set_data_page_size_limit(pages.bytes)
        .set_data_page_row_count_limit(pages.rows);
    let properties = match values {
        // It is never given up.
        Values::Dictionary => builder.set_dictionary_page_size_limit(usize::MAX),
        Values::Each(encoding) => builder.set_dictionary_enabled(false).set_encoding(encoding),
    };
    let field = |place| {
        let name = format!("c{place}");
        let field = Type::primitive_type_builder(&name, PhysicalType::BYTE_ARRAY)
            .with_repetition(Repetition::OPTIONAL);
        Ok(Arc::new(field.build()?))
    };
    let fields = (0..columns.len()).map(field);
    let schema = Type::group_type_builder("columns")
        .with_fields(fields.collect::<anyhow::Result<_>>()?)
        .build()?;
    let mut out = Vec::new();
    let mut writer =
        SerializedFileWriter::new(&mut out, Arc::new(schema), Arc::new(properties.build()))?;
    let mut group = writer.next_row_group()?;
    for cells in columns {
        let mut column = group.next_column()?.context("a column")?;
        let typed = column.typed::<ByteArrayType>();
        typed.write_batch(&cells.values, Some(&cells.present), None)?;
        column.close()?;
    }
    group.close()?;
    writer.close()?;
    Ok(out.into())
}

impl Cells {
    fn of<'a>(cells: impl Iterator<Item = Option<&'a [u8]>>) -> Self {
        let mut column = Self::default();
        for cell in cells {
            column.present.push(i16::from(cell.is_some()));
            column.values.extend(cell.map(ByteArray::from));
        }
        column
    }
}
