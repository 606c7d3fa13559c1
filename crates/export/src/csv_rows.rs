//! Rows as CSV: times in RFC 3339, floats as Prometheus writes them, missing values empty.

use std::io::{self, Write};

use arrow_array::{
    RecordBatch,
    cast::AsArray as _,
    types::{Float64Type, Int32Type, TimestampMillisecondType},
};
use arrow_schema::DataType;
use model::{Rfc3339, Timestamp};

use crate::{Layout, histogram::float};

/// A CSV file in progress.
pub(crate) struct CsvRows<W: Write> {
    writer: csv::Writer<W>,
}

impl<W: Write> CsvRows<W> {
    pub(crate) fn new(layout: &Layout, to: W) -> io::Result<Self> {
        let mut writer = csv::Writer::from_writer(to);
        writer.write_record(layout.columns())?;
        Ok(Self { writer })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let mut columns = Vec::with_capacity(batch.num_columns());
        for column in batch.columns() {
            columns.push(texts(column.as_ref()));
        }
        for row in 0..batch.num_rows() {
            for text in &columns {
                self.writer.write_field(text(row))?;
            }
            self.writer.write_record(None::<&[u8]>)?;
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> io::Result<W> {
        self.writer
            .into_inner()
            .map_err(csv::IntoInnerError::into_error)
    }
}

/// The values of a column.
fn texts(column: &dyn arrow_array::Array) -> Box<dyn Fn(usize) -> String + '_> {
    let of: Box<dyn Fn(usize) -> String + '_> = match column.data_type() {
        DataType::Dictionary(..) => {
            let labels = column.as_dictionary::<Int32Type>();
            let values = labels.values().as_string::<i32>();
            Box::new(move |row| {
                let key = labels.key(row);
                key.map_or_else(String::new, |key| values.value(key).to_owned())
            })
        }
        DataType::Timestamp(..) => {
            let times = column.as_primitive::<TimestampMillisecondType>();
            Box::new(move |row| time(times.value(row)))
        }
        DataType::Float64 => {
            let floats = column.as_primitive::<Float64Type>();
            Box::new(move |row| float(floats.value(row)))
        }
        _ => {
            let texts = column.as_string::<i32>();
            Box::new(move |row| texts.value(row).to_owned())
        }
    };
    Box::new(move |row| {
        if column.is_null(row) {
            String::new()
        } else {
            of(row)
        }
    })
}

/// A time in RFC 3339; in ms since 1970 if it is before that or after the year 9999.
fn time(ms: i64) -> String {
    let text = format!("{:.3}", Rfc3339(Timestamp(ms)));
    text.trim_end_matches(" ms").to_owned()
}
