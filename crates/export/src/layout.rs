//! The columns of an export.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use model::{Aggregate, Resolution};

use crate::Format;

/// The prefix of a label that has the name of a column of ours.
const PREFIX: &str = "label_";
/// The key in a column's metadata for the name of the label that it holds.
const LABEL: &str = "label";

/// The columns of an export, the same in all its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The labels that have a column, sorted.
    pub(crate) labels: Vec<Vec<u8>>,
    pub(crate) schema: SchemaRef,
    pub(crate) downsampled: bool,
    pub(crate) format: Format,
}

/// The names of columns, in the order in which they follow the labels.
pub(crate) const TIMESTAMP: &str = "timestamp";
pub(crate) const VALUE: &str = "value";
const HISTOGRAM: &str = "histogram";
/// The aggregates of histograms that are histograms.
pub(crate) const HISTOGRAM_AGGREGATES: [Aggregate; 2] = [Aggregate::Sum, Aggregate::Counter];

impl Layout {
    /// The columns for series whose labels have `names`, at `resolution`.
    #[must_use]
    pub fn new(
        names: impl IntoIterator<Item = Vec<u8>>,
        resolution: Resolution,
        format: Format,
    ) -> Self {
        let labels: Vec<_> = BTreeSet::from_iter(names).into_iter().collect();
        let downsampled = resolution != Resolution::Raw;
        let samples = sample_fields(downsampled, format);
        let names = column_names(&labels, samples.iter().map(|f| f.name().as_str()));
        let named = labels.iter().zip(names);
        let mut fields: Vec<Field> = named
            .map(|(label, name)| {
                let origin = (LABEL.to_owned(), text(label));
                Field::new(name, label_type(), true).with_metadata(HashMap::from([origin]))
            })
            .collect();
        fields.extend(samples);
        Self {
            labels,
            schema: Arc::new(Schema::new(fields)),
            downsampled,
            format,
        }
    }

    /// The names of the columns, in order.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
    }
}

/// The columns of the labels. SQL engines do not tell apart names that differ in upper and lower case only; the label in
/// lower case keeps its name.
fn column_names<'a>(labels: &[Vec<u8>], others: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut used: BTreeSet<String> = others.map(str::to_owned).collect();
    let mut names: Vec<String> = labels.iter().map(|label| text(label)).collect();
    let is_lower = |name: &String| *name == name.to_lowercase();
    let (lower, upper): (Vec<_>, Vec<_>) = names.iter_mut().partition(|name| is_lower(name));
    for name in lower.into_iter().chain(upper) {
        while !used.insert(name.to_lowercase()) {
            name.insert_str(0, PREFIX);
        }
    }
    names
}

fn sample_fields(downsampled: bool, format: Format) -> Vec<Field> {
    let histogram = |name: String| Field::new(name, histogram_type(format), true);
    let mut fields = vec![
        Field::new(TIMESTAMP, timestamp_type(), false),
        Field::new(VALUE, DataType::Float64, true),
        histogram(HISTOGRAM.to_owned()),
    ];
    if downsampled {
        let float = |one: Aggregate| Field::new(one.name(), DataType::Float64, true);
        fields.extend(Aggregate::ALL.map(float));
        fields.extend(
            HISTOGRAM_AGGREGATES.map(|one| histogram(format!("{}_{HISTOGRAM}", one.name()))),
        );
    }
    fields
}

/// A name or value of a label as text; bytes that are not UTF-8 are written as `\xff`.
pub(crate) fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

fn label_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

pub(crate) fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

fn histogram_type(format: Format) -> DataType {
    match format {
        Format::Csv => DataType::Utf8,
        Format::Parquet | Format::Arrow => DataType::Struct(histogram_fields()),
    }
}

pub(crate) fn histogram_fields() -> Fields {
    Fields::from(vec![
        Field::new("count", DataType::Float64, false),
        Field::new("sum", DataType::Float64, false),
        Field::new("buckets", DataType::List(bucket_item()), false),
    ])
}

pub(crate) fn bucket_item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Struct(bucket_fields()), false))
}

pub(crate) fn bucket_fields() -> Fields {
    Fields::from(vec![
        Field::new("boundaries", DataType::Int8, false),
        Field::new("lower", DataType::Float64, false),
        Field::new("upper", DataType::Float64, false),
        Field::new("count", DataType::Float64, false),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(names: &[&str], resolution: Resolution) -> Vec<String> {
        let names = names.iter().map(|name| name.as_bytes().to_vec());
        let layout = Layout::new(names, resolution, Format::Parquet);
        layout.columns().map(str::to_owned).collect()
    }

    #[test]
    fn a_label_with_the_name_of_a_column_gets_a_prefix() {
        assert_eq!(
            columns(&["value", "label_value", "job", "sum"], Resolution::Raw),
            [
                "job",
                "label_value",
                "sum",
                "label_label_value",
                "timestamp",
                "value",
                "histogram"
            ]
        );
    }

    #[test]
    fn labels_that_differ_in_case_only_have_columns_that_sql_tells_apart() {
        assert_eq!(
            columns(&["ZONE", "Zone", "Value", "zone"], Resolution::Raw),
            [
                "label_Value",
                "label_ZONE",
                "label_label_Zone",
                "zone",
                "timestamp",
                "value",
                "histogram"
            ]
        );
    }

    #[test]
    fn at_coarser_resolutions_there_are_columns_for_the_aggregates() {
        assert_eq!(
            columns(&["sum"], Resolution::OneHour),
            [
                "label_sum",
                "timestamp",
                "value",
                "histogram",
                "count",
                "sum",
                "min",
                "max",
                "counter",
                "sum_histogram",
                "counter_histogram"
            ]
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_escaped() {
        assert_eq!(text(b"a\xff\xfeb\xc3\xa9"), "a\\xff\\xfebé");
    }
}
