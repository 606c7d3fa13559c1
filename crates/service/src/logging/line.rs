//! One line of the log, with Thanos's keys.
//!
//! ```text
//! ts  caller  level  [name]  [component]  msg  fields…
//! ```
//! Both formats have the same keys and values. An event's field `error` has the key `err`.

use std::{error::Error, fmt};

use serde_json::{Map, Number, Value};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer, time::FormatTime},
    registry::LookupSpan,
};

use super::{LogFormat, logfmt};

/// Keys of every line. A field that has one of them is written with `field_` before it.
const RESERVED: [&str; 5] = ["ts", "caller", "level", "name", "msg"];

/// Components by the crate that an event comes from, named as in Thanos.
const COMPONENTS: [(&str, &str); 6] = [
    ("sidecar::reloader", "reloader"),
    ("sidecar", "sidecar"),
    ("compactor", "compact"),
    ("store_gateway", "store"),
    ("standalone", "standalone"),
    ("bucket", "objstore"),
];

/// Writes the lines.
#[derive(Clone, Debug)]
pub(super) struct Lines<T> {
    pub(super) format: LogFormat,
    /// The value of `name`; empty for none.
    pub(super) name: String,
    pub(super) timer: T,
}

/// The fields of an event.
#[derive(Debug, Default)]
struct Fields {
    /// In place of that of the crate.
    component: Option<Value>,
    message: Option<Value>,
    others: Vec<(String, Value)>,
}

impl<T: FormatTime> Lines<T> {
    /// The keys and values of an event.
    pub(super) fn values(&self, event: &Event<'_>) -> Map<String, Value> {
        let metadata = event.metadata();
        let mut time = String::new();
        // Without a time the line is still worth having.
        let _ = self.timer.format_time(&mut Writer::new(&mut time));
        let mut line = Map::new();
        let mut add = |key: &str, value: Value| {
            line.insert(key.to_owned(), value);
        };
        add("ts", time.into());
        add("caller", caller(metadata).into());
        add("level", level(*metadata.level()).into());
        if !self.name.is_empty() {
            add("name", self.name.clone().into());
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let of_crate = component(metadata.target()).map(Value::from);
        if let Some(component) = fields.component.or(of_crate) {
            add("component", component);
        }
        if let Some(message) = fields.message {
            add("msg", message);
        }
        for (key, value) in fields.others {
            add(&key, value);
        }
        line
    }
}

impl<S, N, T> FormatEvent<S, N> for Lines<T>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    T: FormatTime,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let line = self.values(event);
        match self.format {
            LogFormat::Logfmt | LogFormat::Journald => {
                writeln!(writer, "{}", logfmt::line(&line))
            }
            LogFormat::Json => writeln!(writer, "{}", Value::Object(line)),
        }
    }
}

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        let name = field.name();
        let name = name.strip_prefix("r#").unwrap_or(name);
        let key = match name {
            "message" => {
                self.message = Some(value);
                return;
            }
            "component" => {
                self.component = Some(value);
                return;
            }
            "error" => "err".to_owned(),
            name if RESERVED.contains(&name) => format!("field_{name}"),
            name => name.to_owned(),
        };
        self.others.push((key, value));
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no infinities.
        let number = Number::from_f64(value);
        self.add(
            field,
            number.map_or_else(|| value.to_string().into(), Value::Number),
        );
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.add(field, value.to_string().into());
    }
}

/// `file.rs:line`.
fn caller(metadata: &Metadata<'_>) -> String {
    match (metadata.file(), metadata.line()) {
        (Some(file), Some(line)) => {
            let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
            format!("{name}:{line}")
        }
        _ => metadata.target().to_owned(),
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        _ => "debug",
    }
}

fn component(target: &str) -> Option<&'static str> {
    let of = |(prefix, name): &(&str, &'static str)| {
        let rest = target.strip_prefix(prefix)?;
        (rest.is_empty() || rest.starts_with("::")).then_some(*name)
    };
    COMPONENTS.iter().find_map(of)
}

#[cfg(test)]
pub(super) mod tests {
    use std::{io, sync::Arc};

    use parking_lot::Mutex;
    use tracing_subscriber::{Registry, layer::SubscriberExt as _};

    use super::*;

    /// A clock that stands still.
    pub(in crate::logging) struct Noon;

    impl FormatTime for Noon {
        fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
            writer.write_str("2026-11-29T12:00:00.25Z")
        }
    }

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What `work` logs, without the numbers of lines.
    fn logged(format: LogFormat, name: &str, work: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let lines = Lines {
            format,
            name: name.to_owned(),
            timer: Noon,
        };
        let writer = buffer.clone();
        let layer = tracing_subscriber::fmt::layer()
            .event_format(lines)
            .with_writer(move || writer.clone());
        tracing::subscriber::with_default(Registry::default().with(layer), work);
        let text = String::from_utf8(buffer.0.lock().clone()).unwrap();
        let mut out = String::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("line.rs:") {
            out.push_str(before);
            out.push_str("line.rs:N");
            rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
        }
        out.push_str(rest);
        out
    }

    /// Events of every kind.
    fn events() {
        tracing::info!(address = "[::1]:9", tls = false, "listening for \"gRPC\"");
        tracing::warn!(
            target: "sidecar::reloader",
            error = %io::Error::other("a=b\nc"),
            took = 0.5,
            level = 3,
            "not read"
        );
        tracing::debug!(target: "store_gateway::sync", blocks = ?["a"], "");
    }

    #[test]
    fn a_line_of_logfmt_has_thanos_s_keys_and_is_unambiguous() {
        assert_eq!(
            logged(LogFormat::Logfmt, "", events),
            concat!(
                r#"ts=2026-11-29T12:00:00.25Z caller=line.rs:N level=info msg="listening for \"gRPC\"" address=[::1]:9 tls=false"#,
                "\n",
                r#"ts=2026-11-29T12:00:00.25Z caller=line.rs:N level=warn component=reloader msg="not read" err="a=b\nc" took=0.5 field_level=3"#,
                "\n",
                r#"ts=2026-11-29T12:00:00.25Z caller=line.rs:N level=debug component=store msg= blocks="[\"a\"]""#,
                "\n",
            )
        );
    }

    #[test]
    fn a_line_of_json_has_the_same_keys_and_values() {
        assert_eq!(
            logged(LogFormat::Json, "", events),
            concat!(
                r#"{"ts":"2026-11-29T12:00:00.25Z","caller":"line.rs:N","level":"info","msg":"listening for \"gRPC\"","address":"[::1]:9","tls":false}"#,
                "\n",
                r#"{"ts":"2026-11-29T12:00:00.25Z","caller":"line.rs:N","level":"warn","component":"reloader","msg":"not read","err":"a=b\nc","took":0.5,"field_level":3}"#,
                "\n",
                r#"{"ts":"2026-11-29T12:00:00.25Z","caller":"line.rs:N","level":"debug","component":"store","msg":"","blocks":"[\"a\"]"}"#,
                "\n",
            )
        );
    }

    #[test]
    fn the_debug_name_follows_the_level() {
        let line = logged(LogFormat::Logfmt, "eu 1", || tracing::error!("x"));
        assert_eq!(
            line,
            "ts=2026-11-29T12:00:00.25Z caller=line.rs:N level=error name=\"eu 1\" msg=x\n"
        );
    }

    #[test]
    fn a_component_is_a_whole_crate() {
        assert_eq!(component("compactor::run"), Some("compact"));
        assert_eq!(component("sidecar::reloader_of_others"), Some("sidecar"));
        assert_eq!(component("bucket"), Some("objstore"));
        assert_eq!(component("service::http"), None);
    }
}
