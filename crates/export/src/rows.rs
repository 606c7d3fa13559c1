//! The rows of one record batch.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, Float64Array, Int8Array, ListArray, RecordBatch, StructArray,
    TimestampMillisecondArray,
    builder::{Float64Builder, StringBuilder},
};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;
use model::{Aggregate, Labels};

use crate::{
    Buckets, Format, Layout,
    decode::Value,
    label_column::LabelColumn,
    layout::{self, HISTOGRAM_AGGREGATES},
};

/// Rows of a batch, appended series by series.
#[derive(Debug)]
pub(crate) struct Rows {
    layout: Arc<Layout>,
    labels: Vec<LabelColumn>,
    /// The series that the next rows belong to, and its keys in this batch.
    series: Labels,
    keys: Vec<Option<i32>>,
    /// Rows whose keys are not appended yet.
    unkeyed: usize,
    times: Vec<i64>,
    values: Float64Builder,
    histograms: HistogramColumn,
    aggregates: Vec<Float64Builder>,
    histogram_aggregates: Vec<HistogramColumn>,
}

/// One row of a downsampled series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) time: i64,
    /// A sample as scraped, where no downsampled block has the time.
    pub(crate) value: Option<Value>,
    /// At their places in [`Aggregate::ALL`].
    pub(crate) aggregates: [Option<Value>; 5],
}

impl Rows {
    pub(crate) fn new(layout: Arc<Layout>) -> Self {
        let format = layout.format;
        let (aggregates, histograms) = if layout.downsampled {
            (Aggregate::ALL.len(), HISTOGRAM_AGGREGATES.len())
        } else {
            (0, 0)
        };
        Self {
            labels: layout
                .labels
                .iter()
                .map(|_| LabelColumn::default())
                .collect(),
            series: Labels::default(),
            keys: vec![None; layout.labels.len()],
            unkeyed: 0,
            times: Vec::new(),
            values: Float64Builder::new(),
            histograms: HistogramColumn::new(format),
            aggregates: (0..aggregates).map(|_| Float64Builder::new()).collect(),
            histogram_aggregates: (0..histograms)
                .map(|_| HistogramColumn::new(format))
                .collect(),
            layout,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.times.len()
    }

    /// The next rows belong to this series.
    pub(crate) fn begin(&mut self, labels: &Labels) {
        self.append_keys();
        self.series = labels.clone();
        self.find_keys();
    }

    /// Appends samples that are floats.
    pub(crate) fn floats(&mut self, times: &[i64], values: &[f64]) {
        self.times.extend_from_slice(times);
        self.values.append_slice(values);
        self.histograms.nulls(times.len());
        for column in &mut self.aggregates {
            column.append_nulls(times.len());
        }
        for column in &mut self.histogram_aggregates {
            column.nulls(times.len());
        }
        self.unkeyed += times.len();
    }

    /// Appends one row.
    pub(crate) fn row(&mut self, row: &Row) {
        self.times.push(row.time);
        self.values
            .append_option(row.value.as_ref().and_then(Value::float));
        self.histograms.append(row.value.as_ref());
        for (column, value) in self.aggregates.iter_mut().zip(&row.aggregates) {
            column.append_option(value.as_ref().and_then(Value::float));
        }
        let columns = HISTOGRAM_AGGREGATES
            .into_iter()
            .zip(&mut self.histogram_aggregates);
        for (aggregate, column) in columns {
            let mut all = Aggregate::ALL.into_iter().zip(&row.aggregates);
            let value = all.find(|(one, _)| *one == aggregate);
            column.append(value.and_then(|(_, value)| value.as_ref()));
        }
        self.unkeyed += 1;
    }

    /// The batch; the next one goes on in the same series.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        self.append_keys();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.layout.schema.fields().len());
        for label in &mut self.labels {
            columns.push(label.finish()?);
        }
        let times = TimestampMillisecondArray::from(std::mem::take(&mut self.times));
        columns.push(Arc::new(times.with_timezone("UTC")));
        columns.push(Arc::new(self.values.finish()));
        columns.push(self.histograms.finish()?);
        for column in &mut self.aggregates {
            columns.push(Arc::new(column.finish()));
        }
        for column in &mut self.histogram_aggregates {
            columns.push(column.finish()?);
        }
        self.find_keys();
        RecordBatch::try_new(Arc::clone(&self.layout.schema), columns)
    }

    fn append_keys(&mut self) {
        for (column, key) in self.labels.iter_mut().zip(&self.keys) {
            column.append(*key, self.unkeyed);
        }
        self.unkeyed = 0;
    }

    fn find_keys(&mut self) {
        let names = self.layout.labels.iter();
        for ((name, column), key) in names.zip(&mut self.labels).zip(&mut self.keys) {
            *key = self.series.get(name).map(|value| column.key(value));
        }
    }
}

impl Value {
    const fn float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            Self::Histogram(_) => None,
        }
    }
}

/// A column of native histograms.
#[derive(Debug)]
enum HistogramColumn {
    Nested(Box<Nested>),
    Json(StringBuilder),
}

/// The struct of a histogram's fields.
#[derive(Debug, Default)]
struct Nested {
    valid: Vec<bool>,
    counts: Vec<f64>,
    sums: Vec<f64>,
    buckets: Vec<usize>,
    boundaries: Vec<i8>,
    lower: Vec<f64>,
    upper: Vec<f64>,
    bucket_counts: Vec<f64>,
}

impl HistogramColumn {
    fn new(format: Format) -> Self {
        match format {
            Format::Csv => Self::Json(StringBuilder::new()),
            Format::Parquet | Format::Arrow => Self::Nested(Box::default()),
        }
    }

    fn append(&mut self, value: Option<&Value>) {
        let Some(Value::Histogram(histogram)) = value else {
            return self.nulls(1);
        };
        let histogram = Buckets::of(histogram);
        match self {
            Self::Nested(nested) => nested.append(&histogram),
            Self::Json(text) => text.append_value(histogram.json()),
        }
    }

    fn nulls(&mut self, rows: usize) {
        match self {
            Self::Nested(nested) => nested.nulls(rows),
            Self::Json(text) => text.append_nulls(rows),
        }
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Nested(nested) => Arc::new(std::mem::take(&mut **nested).finish()?),
            Self::Json(text) => Arc::new(text.finish()),
        })
    }
}

impl Nested {
    fn append(&mut self, histogram: &Buckets) {
        self.valid.push(true);
        self.counts.push(histogram.count);
        self.sums.push(histogram.sum);
        self.buckets.push(histogram.buckets.len());
        for bucket in &histogram.buckets {
            self.boundaries.push(bucket.boundaries);
            self.lower.push(bucket.lower);
            self.upper.push(bucket.upper);
            self.bucket_counts.push(bucket.count);
        }
    }

    fn nulls(&mut self, rows: usize) {
        let len = self.valid.len() + rows;
        self.valid.resize(len, false);
        self.counts.resize(len, 0.0);
        self.sums.resize(len, 0.0);
        self.buckets.resize(len, 0);
    }

    fn finish(self) -> Result<StructArray, ArrowError> {
        let mut nulls = NullBufferBuilder::new(self.valid.len());
        nulls.append_slice(&self.valid);
        let float =
            |values: Vec<f64>| Arc::new(Float64Array::new(ScalarBuffer::from(values), None));
        let buckets = StructArray::try_new(
            layout::bucket_fields(),
            vec![
                Arc::new(Int8Array::from(self.boundaries)),
                float(self.lower),
                float(self.upper),
                float(self.bucket_counts),
            ],
            None,
        )?;
        let offsets = OffsetBuffer::<i32>::from_lengths(self.buckets);
        let buckets = ListArray::try_new(layout::bucket_item(), offsets, Arc::new(buckets), None)?;
        StructArray::try_new(
            layout::histogram_fields(),
            vec![float(self.counts), float(self.sums), Arc::new(buckets)],
            nulls.finish(),
        )
    }
}
