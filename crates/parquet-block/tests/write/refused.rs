//! What cannot be written is refused, and the error tells why.

use std::{
    io::{self, Write},
    sync::Arc,
};

use model::{Labels, Timestamp};
use parquet_block::{Error, RowGroupBuilder, ShardSchema, ShardWriter, Slices, WriteOptions};

use super::{Files, Table, labels};

fn schema(names: &[&str]) -> ShardSchema {
    ShardSchema::new(
        names.iter().copied(),
        Slices::new(Timestamp(0), Timestamp(10), 10),
    )
}

fn builder(schema: &ShardSchema, table: &Arc<Table>) -> RowGroupBuilder {
    let symbols: Arc<Table> = Arc::clone(table);
    RowGroupBuilder::new(schema, symbols, &WriteOptions::default())
}

fn table(series: &[Labels]) -> Arc<Table> {
    Arc::new(Table::of(series.iter()))
}

fn message<T>(result: Result<T, Error>) -> String {
    result.err().unwrap().to_string()
}

#[test]
fn rows_that_are_not_in_order_are_refused() {
    let rows = [
        labels([("a", "2")]),
        labels([("Z", "9"), ("__name__", "m")]),
        labels([("Z", "1"), ("__name__", "n")]),
        labels([("__name__", "n"), ("a", "1")]),
        labels([("__name__", "n"), ("a", "1"), ("b", "1")]),
    ];
    let (table, schema) = (table(&rows), schema(&["Z", "__name__", "a", "b"]));
    for pair in rows.windows(2) {
        let mut in_order = builder(&schema, &table);
        for row in pair {
            in_order.push(&table.ids(row), &[b""]).unwrap();
        }
        for [first, second] in [[1, 0], [0, 0]] {
            let mut other = builder(&schema, &table);
            other.push(&table.ids(&pair[first]), &[b""]).unwrap();
            let error = message(other.push(&table.ids(&pair[second]), &[b""]));
            assert_eq!(
                error,
                format!(
                    "row 1: expected a row after the one before, found {}",
                    pair[second]
                )
            );
        }
    }
}

#[test]
fn row_groups_that_are_not_in_order_are_refused() {
    let rows = [labels([("__name__", "m")]), labels([("__name__", "n")])];
    let (table, schema) = (table(&rows), schema(&["__name__"]));
    let group = |row: &Labels| {
        let mut builder = builder(&schema, &table);
        builder.push(&table.ids(row), &[b""]).unwrap();
        builder.encode().unwrap()
    };
    let mut writer = ShardWriter::create(Vec::new(), Vec::new(), &schema).unwrap();
    writer.append(group(&rows[1])).unwrap();
    for row in &rows {
        let error = message(writer.append(group(row)));
        assert!(
            error.contains("expected rows after {__name__=\"n\"}"),
            "{error}"
        );
    }
    assert_eq!(writer.finish().unwrap().rows, 1);
}

#[test]
fn a_row_needs_a_value_for_each_slice_and_labels_in_order() {
    let row = labels([("a", "1"), ("b", "1")]);
    let (table, schema) = (table(std::slice::from_ref(&row)), schema(&["a", "b"]));
    let mut builder = builder(&schema, &table);
    let ids = table.ids(&row);
    let error = message(builder.push(&ids, &[b"", b""]));
    assert_eq!(error, "row 0: expected values of 1 columns, found 2");
    let error = message(builder.push(&[ids[1], ids[0]], &[b""]));
    assert_eq!(
        error,
        "row 0: labels: expected in ascending order, found \"a\" after \"b\""
    );
    assert_eq!(builder.rows(), 0);
    builder.push(&ids, &[b"xyz"]).unwrap();
    assert!(builder.bytes() >= 3 + 16);
}

#[test]
fn a_label_without_a_column_is_refused() {
    let row = labels([("a", "1"), ("b", "1")]);
    let (table, schema) = (table(std::slice::from_ref(&row)), schema(&["a"]));
    let mut builder = builder(&schema, &table);
    builder.push(&table.ids(&row), &[b""]).unwrap();
    assert_eq!(
        message(builder.encode()),
        "row 0: expected a column of the schema, found label \"b\""
    );
}

#[test]
fn symbols_that_are_not_in_order_are_refused() {
    let table = Arc::new(Table(["a", "y", "x"].map(Into::into).to_vec()));
    let schema = schema(&["a"]);
    let mut builder = builder(&schema, &table);
    builder.push(&[(0, 1)], &[b""]).unwrap();
    builder.push(&[(0, 2)], &[b""]).unwrap();
    let error = message(builder.encode());
    assert!(
        error.starts_with("symbols: expected in ascending order, found \"x\""),
        "{error}"
    );
}

#[test]
fn an_empty_value_is_no_label() {
    let table = Arc::new(Table(["", "a", "b", "x"].map(Into::into).to_vec()));
    let schema = schema(&["a", "b"]);
    let mut builder = builder(&schema, &table);
    builder.push(&[(1, 0), (2, 3)], &[b""]).unwrap();
    let (mut labels, mut chunks) = (Vec::new(), Vec::new());
    let mut writer = ShardWriter::create(&mut labels, &mut chunks, &schema).unwrap();
    writer.append(builder.encode().unwrap()).unwrap();
    writer.finish().unwrap();
    let row = &super::generic_rows(&labels)[0];
    let expected = super::labels([("b", "x")]).stable_hash().to_be_bytes();
    let cells = [
        ("l_b", &b"x"[..]),
        ("s_col_indexes", &[2, 2]),
        ("s_series_hash", &expected),
    ];
    assert!(
        row.iter()
            .map(|(n, v)| (n.as_str(), v.as_slice()))
            .eq(cells)
    );
}

#[test]
fn a_shard_without_rows_is_refused_and_a_row_group_without_rows_left_out() {
    let slices = Slices::new(Timestamp(0), Timestamp(10), 10);
    let options = WriteOptions::default();
    let none = Files::write(&[], slices, &options, 10);
    assert!(matches!(none, Err(Error::Empty)));

    let row = labels([("a", "1")]);
    let (table, schema) = (table(std::slice::from_ref(&row)), schema(&["a"]));
    let mut writer = ShardWriter::create(Vec::new(), Vec::new(), &schema).unwrap();
    let empty = builder(&schema, &table).encode().unwrap();
    assert_eq!(empty.rows(), 0);
    writer.append(empty).unwrap();
    assert!(matches!(writer.finish(), Err(Error::Empty)));
}

#[test]
fn a_schema_of_too_many_columns_is_refused() {
    let slices = Slices::new(Timestamp(0), Timestamp(40_000), 1);
    let schema = ShardSchema::new(vec!["a".to_owned()], slices);
    let error = message(ShardWriter::create(Vec::new(), Vec::new(), &schema));
    assert_eq!(
        error,
        "columns of time slices: expected at most 32767, found 40000"
    );
}

/// Takes so many bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self
            .0
            .checked_sub(bytes.len())
            .ok_or_else(|| io::Error::other("no space"))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write(&[0]).map(|_| ())
    }
}

#[test]
fn a_disk_that_is_full_is_an_error_wherever_it_happens() {
    let row = labels([("__name__", "m")]);
    let (table, schema) = (table(std::slice::from_ref(&row)), schema(&["__name__"]));
    let write = |labels: &mut dyn Write, chunks: &mut dyn Write| {
        let mut writer = ShardWriter::create(labels, chunks, &schema)?;
        let mut builder = builder(&schema, &table);
        builder.push(&table.ids(&row), &[b"chunk"])?;
        writer.append(builder.encode()?)?;
        writer.finish()
    };
    let (mut labels, mut chunks) = (Vec::new(), Vec::new());
    write(&mut labels, &mut chunks).unwrap();
    for space in 0..=labels.len() {
        let error = message(write(&mut Full(space), &mut Vec::new()));
        assert_eq!(error, "labels file: no space");
    }
    for space in 0..=chunks.len() {
        let error = message(write(&mut Vec::new(), &mut Full(space)));
        assert_eq!(error, "chunks file: no space");
    }
}
