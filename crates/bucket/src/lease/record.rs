//! The objects of a lease: their names, their contents, and the state that follows from the last one.

use std::{fmt::Write as _, time::Duration};

use model::Timestamp;
use serde::{Deserialize, Serialize};

use super::Holder;
use crate::{BucketError, Object, Operation};

/// The folder of leases: below `parquet`, so that Thanos does not see them, and not the name of a block.
pub(super) const ROOT: &str = "parquet/leases";
/// The version that is written.
pub(super) const VERSION: u64 = 1;
/// Digits of a number in a name, as many as the largest number has: names sort as numbers do.
const DIGITS: usize = 20;
/// The least time for which an object that cannot be read counts as held.
const UNREADABLE: Duration = Duration::from_hours(1);

/// The contents of an object of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) version: u64,
    /// For people to read.
    pub(super) holder: String,
    /// Identifies the lease among all others, also those of one holder.
    pub(super) token: String,
    /// When it was acquired.
    pub(super) since: Timestamp,
    pub(super) deadline: Timestamp,
    pub(super) released: bool,
}

/// The last object of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Newest {
    pub(super) generation: u64,
    /// When it was written, by the clock of the store.
    pub(super) written: Timestamp,
    /// The reason why it cannot be read.
    pub(super) record: Result<Record, String>,
}

/// Whether a lease can be acquired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// By creating the object with this number.
    Free {
        next: u64,
    },
    Held(Holder),
}

impl Record {
    pub(super) fn encode(&self) -> Vec<u8> {
        // Strings and numbers always are JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(super) fn decode(json: &[u8]) -> Result<Self, String> {
        let record: Self = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        if record.version == VERSION {
            Ok(record)
        } else {
            let found = record.version;
            Err(format!("version: expected {VERSION}, found {found}"))
        }
    }

    pub(super) fn into_holder(self) -> Holder {
        Holder {
            name: self.holder,
            until: self.deadline,
        }
    }
}

impl Newest {
    pub(super) fn read(generation: u64, object: &Object, bytes: &[u8]) -> Self {
        let record = Record::decode(bytes).map_err(|reason| format!("{}: {reason}", object.key));
        Self {
            generation,
            written: object.last_modified,
            record,
        }
    }
}

impl Newest {
    /// The latest time at which its holder had the lease.
    pub(super) fn end(&self) -> Timestamp {
        self.record
            .as_ref()
            .map_or(self.written, |record| record.deadline)
    }
}

/// Whether a lease can be acquired at `now`, if clocks differ by `margin` at most and leases last `duration`.
pub(super) fn state(
    newest: Option<&Newest>,
    now: Timestamp,
    duration: Duration,
    margin: Duration,
) -> State {
    let Some(newest) = newest else {
        return State::Free { next: 1 };
    };
    let holder = match &newest.record {
        Ok(record) if record.released => None,
        Ok(record) => Some(record.clone().into_holder()),
        // The deadline is unknown, so the longest expected one is used.
        Err(reason) => Some(Holder {
            name: format!("an unknown holder ({reason})"),
            until: after(newest.written, duration.max(UNREADABLE)),
        }),
    };
    match holder.filter(|holder| now <= after(holder.until, margin)) {
        Some(holder) => State::Held(holder),
        None => State::Free {
            next: newest.generation.saturating_add(1),
        },
    }
}

/// The time so much later.
pub(super) fn after(time: Timestamp, span: Duration) -> Timestamp {
    let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    Timestamp(time.0.saturating_add(span))
}

/// The folder of a chain. No two leases share one, and all stores accept the name: a character other than a letter,
/// digit, `@`, `-` or `_` is written as `!` and two digits.
pub(super) fn folder(name: &str) -> String {
    let mut folder = format!("{ROOT}/");
    // A text that no name is written as.
    if name.is_empty() {
        folder.push('!');
    }
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"@-_".contains(&byte) {
            folder.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(folder, "!{byte:02x}");
        }
    }
    folder
}

/// The object with a number.
pub(super) fn key(name: &str, generation: u64) -> String {
    format!("{}/{generation:0DIGITS$}", folder(name))
}

/// The number of an object of a chain.
pub(super) fn generation(key: &str) -> Option<u64> {
    let (_, name) = key.rsplit_once('/')?;
    let is_number = name.len() == DIGITS && name.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| name.parse().ok())?
}

/// 128 random bits.
///
/// # Errors
/// When the system has none; `key` says what they are for.
pub(super) fn token(key: &str) -> Result<String, BucketError> {
    let mut token = [0; 16];
    getrandom::fill(&mut token).map_err(|error| BucketError::Store {
        operation: Operation::Upload,
        key: key.to_owned(),
        cause: Box::new(error),
    })?;
    Ok(format!("{:032x}", u128::from_be_bytes(token)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn newest(released: bool, deadline: i64) -> Newest {
        Newest {
            generation: 7,
            written: Timestamp(1_000_000),
            record: Ok(Record {
                version: VERSION,
                holder: "a".to_owned(),
                token: "t".to_owned(),
                since: Timestamp(0),
                deadline: Timestamp(deadline),
                released,
            }),
        }
    }

    #[test]
    fn a_lease_is_free_when_nobody_has_it_or_its_deadline_is_past_by_the_margin() {
        let unreadable = Newest {
            record: Err("k: ?".to_owned()),
            ..newest(false, 0)
        };
        let hour = 3_600_000;
        for (newest, now, expected) in [
            (None, i64::MIN, "free 1"),
            (Some(newest(true, i64::MAX)), 0, "free 8"),
            (
                Some(newest(false, 1_000)),
                0,
                "a until 1970-01-01T00:00:01Z",
            ),
            (
                Some(newest(false, 1_000)),
                1_000,
                "a until 1970-01-01T00:00:01Z",
            ),
            // Past, but perhaps not yet by the holder's clock.
            (
                Some(newest(false, 1_000)),
                61_000,
                "a until 1970-01-01T00:00:01Z",
            ),
            (Some(newest(false, 1_000)), 61_001, "free 8"),
            (
                Some(newest(false, i64::MAX)),
                i64::MAX,
                "a until 9223372036854775807 ms",
            ),
            // What cannot be read is held for an hour after it was written.
            (
                Some(unreadable.clone()),
                1_060_000 + hour,
                "an unknown holder (k: ?) until 1970-01-01T01:16:40Z",
            ),
            (Some(unreadable), 1_060_001 + hour, "free 8"),
        ] {
            let shown = match state(newest.as_ref(), Timestamp(now), MINUTE, MINUTE) {
                State::Free { next } => format!("free {next}"),
                State::Held(holder) => holder.to_string(),
            };
            assert_eq!(shown, expected, "{newest:?} at {now}");
        }
    }

    #[test]
    fn names_become_folders_that_differ_and_that_every_store_takes() {
        for (name, expected) in [
            ("0@17241709254077376921", "0@17241709254077376921"),
            ("a.b/c!d ü", "a!2eb!2fc!21d!20!c3!bc"),
            ("..", "!2e!2e"),
            ("", "!"),
            ("!", "!21"),
        ] {
            assert_eq!(folder(name), format!("parquet/leases/{expected}"));
        }
    }

    #[test]
    fn numbers_in_keys_sort_as_they_count_and_others_are_none() {
        let keys = [1, 9, 10, u64::MAX].map(|n| key("a", n));
        assert!(keys.is_sorted());
        assert_eq!(
            keys.map(|key| generation(&key)),
            [1, 9, 10, u64::MAX].map(Some)
        );
        for key in [
            "00000000000000000001",
            "a/1",
            "a/0000000000000000000x",
            "a/99999999999999999999",
            "a/+0000000000000000001",
        ] {
            assert_eq!(generation(key), None, "{key}");
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written_and_one_of_another_version_is_not() {
        let record = newest(false, 5).record.unwrap();
        assert_eq!(Record::decode(&record.encode()), Ok(record.clone()));
        let newer = Record {
            version: 2,
            ..record
        };
        let error = Record::decode(&newer.encode()).unwrap_err();
        assert_eq!(error, "version: expected 1, found 2");
        assert_ne!(token("a").unwrap(), token("a").unwrap());
    }
}
