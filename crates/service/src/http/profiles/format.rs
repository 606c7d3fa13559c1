//! pprof's format: the messages of its package `perftools.profiles`, without what is not written here.
//!
//! The crate `pprof` can write it, but brings a second implementation of protobuf for it.

use std::{
    collections::HashMap,
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use pprof::{Frames, Report, Symbol};

/// Samples of stacks. A number that stands for text is an index into `string_table`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Profile {
    /// What the values of a sample are, in order.
    #[prost(message, repeated, tag = "1")]
    pub(super) sample_type: Vec<ValueType>,
    #[prost(message, repeated, tag = "2")]
    pub(super) sample: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    pub(super) location: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    pub(super) function: Vec<Function>,
    /// The first is empty.
    #[prost(string, repeated, tag = "6")]
    pub(super) string_table: Vec<String>,
    #[prost(int64, tag = "9")]
    pub(super) time_nanos: i64,
    #[prost(int64, tag = "10")]
    pub(super) duration_nanos: i64,
    /// The kind of `period`: there is one sample for each.
    #[prost(message, optional, tag = "11")]
    pub(super) period_type: Option<ValueType>,
    #[prost(int64, tag = "12")]
    pub(super) period: i64,
}

/// A kind of value.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct ValueType {
    #[prost(int64, tag = "1")]
    pub(super) r#type: i64,
    #[prost(int64, tag = "2")]
    pub(super) unit: i64,
}

/// How often a stack was seen.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Sample {
    /// The innermost function first.
    #[prost(uint64, repeated, tag = "1")]
    pub(super) location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    pub(super) value: Vec<i64>,
    #[prost(message, repeated, tag = "3")]
    pub(super) label: Vec<Label>,
}

/// A property of a sample.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Label {
    #[prost(int64, tag = "1")]
    pub(super) key: i64,
    #[prost(int64, tag = "2")]
    pub(super) str: i64,
}

/// A place in the program.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Location {
    /// From 1 on.
    #[prost(uint64, tag = "1")]
    pub(super) id: u64,
    #[prost(message, repeated, tag = "4")]
    pub(super) line: Vec<Line>,
}

/// A line of a function.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Line {
    #[prost(uint64, tag = "1")]
    pub(super) function_id: u64,
    /// 0 where it is not known.
    #[prost(int64, tag = "2")]
    pub(super) line: i64,
}

/// A function.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Function {
    /// From 1 on.
    #[prost(uint64, tag = "1")]
    pub(super) id: u64,
    #[prost(int64, tag = "2")]
    pub(super) name: i64,
    /// The name for the linker.
    #[prost(int64, tag = "3")]
    pub(super) system_name: i64,
    #[prost(int64, tag = "4")]
    pub(super) filename: i64,
}

impl Profile {
    /// The profile of the CPU that `report` holds, with the name of the thread at each sample.
    pub(super) fn of_cpu(report: &Report) -> Self {
        let period = 1_000_000_000 / i64::from(report.timing.frequency.max(1));
        let profile = Self::of_stacks(&report.data, period);
        let began = report.timing.start_time.duration_since(UNIX_EPOCH);
        Self {
            time_nanos: nanoseconds(began.unwrap_or_default()),
            duration_nanos: nanoseconds(report.timing.duration),
            ..profile
        }
    }

    /// How often each stack was seen, once in `period` nanoseconds of CPU time.
    fn of_stacks(stacks: &HashMap<Frames, isize>, period: i64) -> Self {
        let mut tables = Tables::new();
        let cpu = tables.value_type("cpu", "nanoseconds");
        let sample_type = vec![tables.value_type("samples", "count"), cpu];
        let thread = tables.text("thread");
        let sample = stacks.iter().map(|(stack, &count)| {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            let name = tables.text(&stack.thread_name_or_id());
            let frames = stack.frames.iter();
            Sample {
                location_id: frames.map(|frame| tables.location(frame)).collect(),
                value: vec![count, count.saturating_mul(period)],
                label: vec![Label {
                    key: thread,
                    str: name,
                }],
            }
        });
        let sample = sample.collect();
        Self {
            sample_type,
            sample,
            location: tables.locations,
            function: tables.functions,
            string_table: tables.texts,
            period_type: Some(cpu),
            period,
            ..Self::default()
        }
    }
}

/// What samples refer to, each thing once.
#[derive(Debug)]
struct Tables {
    texts: Vec<String>,
    text_numbers: HashMap<String, i64>,
    functions: Vec<Function>,
    /// By the function's name for the linker.
    function_ids: HashMap<Vec<u8>, u64>,
    locations: Vec<Location>,
    /// By functions and lines.
    location_ids: HashMap<Vec<(u64, i64)>, u64>,
}

impl Tables {
    fn new() -> Self {
        Self {
            texts: vec![String::new()],
            text_numbers: HashMap::from([(String::new(), 0)]),
            functions: Vec::new(),
            function_ids: HashMap::new(),
            locations: Vec::new(),
            location_ids: HashMap::new(),
        }
    }

    fn value_type(&mut self, of: &str, unit: &str) -> ValueType {
        ValueType {
            r#type: self.text(of),
            unit: self.text(unit),
        }
    }

    fn text(&mut self, text: &str) -> i64 {
        if let Some(&number) = self.text_numbers.get(text) {
            return number;
        }
        let number = i64::try_from(self.texts.len()).unwrap_or(i64::MAX);
        self.texts.push(text.to_owned());
        self.text_numbers.insert(text.to_owned(), number);
        number
    }

    /// The location of a frame, whose `symbols` are a function and, before it, those that were inlined into it.
    fn location(&mut self, symbols: &[Symbol]) -> u64 {
        let lines = symbols.iter();
        let lines = lines.map(|symbol| (self.function(symbol), i64::from(symbol.lineno())));
        let lines: Vec<_> = lines.collect();
        let next = self.location_ids.len() as u64 + 1;
        let id = *self.location_ids.entry(lines.clone()).or_insert(next);
        if id == next {
            let line = lines.into_iter();
            let line = line.map(|(function_id, line)| Line { function_id, line });
            self.locations.push(Location {
                id,
                line: line.collect(),
            });
        }
        id
    }

    fn function(&mut self, symbol: &Symbol) -> u64 {
        if let Some(&id) = self.function_ids.get(symbol.raw_name()) {
            return id;
        }
        let id = self.functions.len() as u64 + 1;
        let name = self.text(&symbol.name());
        let system_name = self.text(&symbol.sys_name());
        let file = symbol.filename.as_deref().map(Path::to_string_lossy);
        let filename = self.text(&file.unwrap_or_default());
        self.functions.push(Function {
            id,
            name,
            system_name,
            filename,
        });
        self.function_ids.insert(symbol.raw_name().to_vec(), id);
        id
    }
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use prost::Message as _;

    use super::*;

    fn symbol(name: &str, line: Option<u32>) -> Symbol {
        Symbol {
            name: Some(name.into()),
            addr: None,
            lineno: line,
            filename: line.map(|_| "merge.rs".into()),
        }
    }

    fn stack(thread: &str, frames: Vec<Vec<Symbol>>) -> Frames {
        Frames {
            frames,
            thread_name: thread.to_owned(),
            thread_id: 7,
            sample_timestamp: SystemTime::UNIX_EPOCH,
        }
    }

    /// The samples of `profile` as text: `thread: function line < caller line = values`.
    fn as_text(profile: &Profile) -> Vec<String> {
        let text = |number: i64| &*profile.string_table[usize::try_from(number).unwrap()];
        let at = |id: u64| usize::try_from(id).unwrap() - 1;
        let line = |line: &Line| {
            let function = &profile.function[at(line.function_id)];
            assert_eq!(function.id, line.function_id);
            let (name, file) = (text(function.name), text(function.filename));
            format!("{name} {file}:{}", line.line)
        };
        let frame = |&id: &u64| {
            let location = &profile.location[at(id)];
            assert_eq!(location.id, id);
            location
                .line
                .iter()
                .map(line)
                .collect::<Vec<_>>()
                .join(" in ")
        };
        let samples = profile.sample.iter().map(|sample| {
            let [label] = sample.label[..] else {
                panic!("{sample:?}")
            };
            let frames: Vec<_> = sample.location_id.iter().map(frame).collect();
            let (key, thread) = (text(label.key), text(label.str));
            format!(
                "{key} {thread}: {} = {:?}",
                frames.join(" < "),
                sample.value
            )
        });
        let mut samples: Vec<_> = samples.collect();
        samples.sort();
        samples
    }

    #[test]
    fn a_profile_names_threads_and_functions_and_says_each_once() {
        let main = || vec![symbol("main", None)];
        let merge = || vec![symbol("next", Some(5)), symbol("merge", Some(9))];
        let stacks = HashMap::from([
            (stack("worker", vec![merge(), main()]), 3),
            (
                stack("worker", vec![vec![symbol("merge", Some(7))], main()]),
                1,
            ),
            (stack("", vec![main()]), 2),
        ]);
        let profile = Profile::of_stacks(&stacks, 10_000_000);
        let profile = Profile::decode(&*profile.encode_to_vec()).unwrap();
        assert_eq!(
            as_text(&profile),
            [
                "thread 7: main :0 = [2, 20000000]",
                "thread worker: merge merge.rs:7 < main :0 = [1, 10000000]",
                "thread worker: next merge.rs:5 in merge merge.rs:9 < main :0 = [3, 30000000]",
            ]
        );
        assert_eq!((profile.function.len(), profile.location.len()), (3, 3));
        assert_eq!(profile.string_table[0], "");
        let kinds = profile.sample_type.iter().chain(&profile.period_type);
        let kinds = kinds.map(|kind| {
            let text = |number| &*profile.string_table[usize::try_from(number).unwrap()];
            [text(kind.r#type), text(kind.unit)]
        });
        assert_eq!(
            kinds.collect::<Vec<_>>(),
            [
                ["samples", "count"],
                ["cpu", "nanoseconds"],
                ["cpu", "nanoseconds"]
            ]
        );
    }
}
