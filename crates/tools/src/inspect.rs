//! The table of the blocks of a bucket.
//!
//! ```text
//! |            ULID            |         FROM         | …
//! |----------------------------|----------------------| …
//! | 01M8730YYK53DX21EDQCEJACBY | 2025-11-23T00:00:00Z | …
//! ```

use std::cmp::Ordering;

use model::{BlockMeta, Resolution};
use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};

use crate::go;

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// The block's name.
    Ulid,
    /// Its first time, included.
    From,
    /// Its end, excluded.
    Until,
    /// Its length.
    Range,
    /// By how much it is too short to be downsampled.
    UntilDown,
    /// Its series.
    Series,
    /// Its samples.
    Samples,
    /// Its chunks.
    Chunks,
    /// Its compaction level.
    Level,
    /// Whether its compaction failed.
    Failed,
    /// Its external labels.
    Labels,
    /// Its resolution.
    Resolution,
    /// The component that wrote it.
    Source,
}

/// The table of some blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    rows: Vec<Row>,
}

/// One block.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    cells: [String; Column::ALL.len()],
    /// What the row is sorted by, column by column.
    keys: [Key; Column::ALL.len()],
}

/// A value by which rows are sorted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Text(String),
    Number(i128),
}

impl Column {
    /// All, in their order.
    pub const ALL: [Self; 13] = [
        Self::Ulid,
        Self::From,
        Self::Until,
        Self::Range,
        Self::UntilDown,
        Self::Series,
        Self::Samples,
        Self::Chunks,
        Self::Level,
        Self::Failed,
        Self::Labels,
        Self::Resolution,
        Self::Source,
    ];

    /// The name in the header and in `--sort-by`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ulid => "ULID",
            Self::From => "FROM",
            Self::Until => "UNTIL",
            Self::Range => "RANGE",
            Self::UntilDown => "UNTIL-DOWN",
            Self::Series => "#SERIES",
            Self::Samples => "#SAMPLES",
            Self::Chunks => "#CHUNKS",
            Self::Level => "COMP-LEVEL",
            Self::Failed => "COMP-FAILED",
            Self::Labels => "LABELS",
            Self::Resolution => "RESOLUTION",
            Self::Source => "SOURCE",
        }
    }

    /// The cell of a block, and what it is sorted by.
    fn of(self, meta: &BlockMeta) -> (String, Key) {
        let text = |text: String| (text.clone(), Key::Text(text));
        let count = |count: u64| (go::number(count), Key::Number(count.into()));
        let millis = |millis: i64| (go::duration(millis), Key::Number(millis.into()));
        let thanos = meta.thanos.as_ref();
        let length = meta.max_time.0.saturating_sub(meta.min_time.0);
        match self {
            Self::Ulid => text(meta.ulid.to_string()),
            Self::From => (go::time(meta.min_time), Key::Number(meta.min_time.0.into())),
            Self::Until => (go::time(meta.max_time), Key::Number(meta.max_time.0.into())),
            Self::Range => millis(length),
            Self::UntilDown => match least_length(meta.resolution()) {
                Some(least) => millis(least.saturating_sub(length)),
                None => text("-".to_owned()),
            },
            Self::Series => count(meta.stats.num_series),
            Self::Samples => count(meta.stats.num_samples),
            Self::Chunks => count(meta.stats.num_chunks),
            Self::Level => count(meta.compaction.level.into()),
            Self::Failed => text(meta.compaction.failed.to_string()),
            Self::Labels => {
                let labels = thanos.iter().flat_map(|t| t.labels.iter());
                let labels: Vec<String> = labels.map(|(n, v)| format!("{n}={v}")).collect();
                text(labels.join(","))
            }
            Self::Resolution => millis(meta.resolution().millis()),
            Self::Source => text(thanos.map_or_else(String::new, |t| t.source.clone())),
        }
    }
}

/// The least length in milliseconds of a block to be downsampled.
fn least_length(resolution: Resolution) -> Option<i64> {
    let least = resolution.downsampled_from()?;
    i64::try_from(least.as_millis()).ok()
}

/// The table of blocks, sorted by these columns and then by the blocks' names.
#[must_use]
pub fn inspect<'a>(metas: impl IntoIterator<Item = &'a BlockMeta>, sort_by: &[Column]) -> Table {
    let row = |meta: &BlockMeta| {
        let cells = Column::ALL.map(|column| column.of(meta));
        Row {
            keys: cells.clone().map(|(_, key)| key),
            cells: cells.map(|(cell, _)| cell),
        }
    };
    let mut rows: Vec<Row> = metas.into_iter().map(row).collect();
    rows.sort_by(|a, b| {
        let columns = sort_by.iter().chain(&[Column::Ulid]);
        let order = columns.map(|column| a.key(*column).cmp(&b.key(*column)));
        order.fold(Ordering::Equal, Ordering::then)
    });
    Table { rows }
}

impl Row {
    fn key(&self, column: Column) -> Option<&Key> {
        let mut columns = Column::ALL.into_iter().zip(&self.keys);
        columns.find_map(|(of, key)| (of == column).then_some(key))
    }
}

impl Table {
    /// For people: lines of equal width.
    #[must_use]
    pub fn text(&self) -> String {
        let width = |(place, column): (usize, Column)| {
            let cells = self.rows.iter().filter_map(|row| row.cells.get(place));
            let widths = cells.map(|cell| cell.chars().count());
            widths.fold(column.name().len(), usize::max)
        };
        let widths: Vec<usize> = Column::ALL.into_iter().enumerate().map(width).collect();
        let line = |cells: Vec<String>| format!("|{}|\n", cells.join("|"));
        let columns = Column::ALL.iter().zip(&widths);
        let mut text = line(
            columns
                .map(|(column, width)| format!(" {:^width$} ", column.name()))
                .collect(),
        );
        text += &line(widths.iter().map(|width| "-".repeat(width + 2)).collect());
        for row in &self.rows {
            let cells = row.cells.iter().zip(&widths);
            text += &line(
                cells
                    .map(|(cell, width)| format!(" {cell:width$} "))
                    .collect(),
            );
        }
        text
    }

    /// For programs: cells between this separator, quoted where they must be.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn separated(&self, separator: u8) -> Result<Vec<u8>, csv::Error> {
        let mut writer = csv::WriterBuilder::new()
            .delimiter(separator)
            .from_writer(Vec::new());
        writer.write_record(Column::ALL.map(Column::name))?;
        for row in &self.rows {
            writer.write_record(&row.cells)?;
        }
        writer.flush()?;
        writer
            .into_inner()
            .map_err(|error| csv::Error::from(error.into_error()))
    }
}

/// As a list of objects, whose members are named as the columns are.
impl Serialize for Table {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.rows.len()))?;
        for row in &self.rows {
            list.serialize_element(row)?;
        }
        list.end()
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.cells.len()))?;
        for (column, cell) in Column::ALL.iter().zip(&self.cells) {
            map.serialize_entry(column.name(), cell)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metas() -> Vec<BlockMeta> {
        let json = |id: &str, rest: &str| {
            let json = format!(r#"{{"ulid":"{id}","version":1,{rest}}}"#);
            BlockMeta::decode(json.as_bytes()).unwrap()
        };
        vec![
            json(
                "01M8730Z9ADPS1ZRFG8H4AQGYD",
                r#""minTime":1763863200000,"maxTime":1764727200000,"stats":{"numSamples":9,"numSeries":8,"numChunks":1},
                "compaction":{"level":12},"thanos":{"labels":{"z":"1","a":"2,3"},"downsample":{"resolution":3600000},"source":"compactor"}"#,
            ),
            json(
                "01M8730YYK53DX21EDQCEJACBY",
                r#""minTime":1763856000000,"maxTime":1763863144501,"stats":{"numSamples":102975,"numSeries":860,"numChunks":863},
                "compaction":{"level":1},"thanos":{"labels":{"cluster":"eu-1"},"source":"bucket.upload"}"#,
            ),
        ]
    }

    #[test]
    fn the_table_is_the_one_of_thanos() {
        let expected = "\
|            ULID            |         FROM         |        UNTIL         |    RANGE    |  UNTIL-DOWN  | #SERIES | #SAMPLES | #CHUNKS | COMP-LEVEL | COMP-FAILED |    LABELS    | RESOLUTION |    SOURCE     |
|----------------------------|----------------------|----------------------|-------------|--------------|---------|----------|---------|------------|-------------|--------------|------------|---------------|
| 01M8730YYK53DX21EDQCEJACBY | 2025-11-23T00:00:00Z | 2025-11-23T01:59:04Z | 1h59m4.501s | 38h0m55.499s | 860     | 102,975  | 863     | 1          | false       | cluster=eu-1 | 0s         | bucket.upload |
";
        assert_eq!(inspect(&metas()[1..], &[]).text(), expected);
    }

    #[test]
    fn numbers_durations_and_times_are_sorted_by_their_value() {
        let metas = metas();
        let first = |column| {
            let table = inspect(&metas, &[column]);
            table.rows[0].cells[0].clone()
        };
        let [long, short] = [0, 1].map(|at: usize| metas[at].ulid.to_string());
        for column in [
            Column::From,
            Column::Range,
            Column::Level,
            Column::Resolution,
        ] {
            assert_eq!(first(column), short, "{column:?}");
        }
        for column in [Column::Series, Column::Samples] {
            assert_eq!(first(column), long, "{column:?}");
        }
    }

    #[test]
    fn cells_with_a_separator_are_quoted() {
        let table = inspect(&metas()[..1], &[]);
        let csv = String::from_utf8(table.separated(b',').unwrap()).unwrap();
        assert_eq!(
            csv.lines().nth(1).unwrap(),
            r#"01M8730Z9ADPS1ZRFG8H4AQGYD,2025-11-23T02:00:00Z,2025-12-03T02:00:00Z,240h0m0s,-,8,9,1,12,false,"a=2,3,z=1",1h0m0s,compactor"#
        );
        let tsv = String::from_utf8(table.separated(b'\t').unwrap()).unwrap();
        assert!(tsv.contains("\ta=2,3,z=1\t"), "{tsv}");
        let json = serde_json::to_string(&table).unwrap();
        assert!(json.contains(r##""#SERIES":"8""##), "{json}");
    }
}
