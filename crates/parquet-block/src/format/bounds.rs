//! What the values of a page, or of a column, lie between.

/// Longer bounds are cut to as many bytes, as parquet-common's writer does: they are read when a block is opened.
const MAX_BOUND: usize = 16;

/// The least and the greatest value, or shorter ones that all values lie between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) min: Vec<u8>,
    pub(crate) max: Vec<u8>,
    /// Whether `min` is a value.
    pub(crate) min_exact: bool,
    /// Whether `max` is a value.
    pub(crate) max_exact: bool,
}

impl Bounds {
    pub(crate) fn of(min: &[u8], max: &[u8]) -> Self {
        let short = prefix(min);
        let above = (max.len() > MAX_BOUND)
            .then(|| after_all_with(prefix(max)))
            .flatten();
        Self {
            min_exact: short.len() == min.len(),
            min: short.to_owned(),
            max_exact: above.is_none(),
            max: above.unwrap_or_else(|| max.to_owned()),
        }
    }
}

/// As much of a value as a bound holds: whole characters, if the value is UTF-8.
fn prefix(value: &[u8]) -> &[u8] {
    let end = match str::from_utf8(value) {
        Ok(text) => text.floor_char_boundary(MAX_BOUND),
        Err(_) => MAX_BOUND.min(value.len()),
    };
    value.get(..end).unwrap_or_default()
}

/// What comes after all that begin with `prefix`, if there is something: a text, if `prefix` is one.
fn after_all_with(prefix: &[u8]) -> Option<Vec<u8>> {
    match str::from_utf8(prefix) {
        Ok(text) => text_after(text).map(String::into_bytes),
        Err(_) => bytes_after(prefix),
    }
}

fn text_after(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        // Code points and UTF-8 have the same order. None are between these two.
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            other => char::from_u32(u32::from(other) + 1),
        };
        if let Some(next) = next {
            text.push(next);
            return Some(text);
        }
    }
    None
}

fn bytes_after(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = prefix.to_owned();
    while let Some(last) = bytes.pop() {
        if let Some(next) = last.checked_add(1) {
            bytes.push(next);
            return Some(bytes);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bounds(min: &str, max: &str) -> Bounds {
        Bounds::of(min.as_bytes(), max.as_bytes())
    }

    #[test]
    fn long_values_are_cut_and_the_upper_bound_rounded_up() {
        let cut = bounds("container_cpu_usage", "container_memory_usage");
        assert_eq!(
            (&*cut.min, cut.min_exact),
            (&b"container_cpu_us"[..], false)
        );
        assert_eq!(
            (&*cut.max, cut.max_exact),
            (&b"container_memorz"[..], false)
        );
        let whole = bounds("", "0123456789abcdef");
        assert_eq!((&*whole.min, whole.min_exact), (&b""[..], true));
        assert_eq!(
            (&*whole.max, whole.max_exact),
            (&b"0123456789abcdef"[..], true)
        );
    }

    #[test]
    fn the_last_code_point_is_carried_over_or_kept() {
        let last = "\u{10ffff}".repeat(5);
        assert_eq!(bounds("", &last).max, last.as_bytes());
        let carried = bounds("", &format!("a{last}")).max;
        assert_eq!(carried, b"b");
        assert_eq!(text_after("\u{d7ff}").unwrap(), "\u{e000}");
    }

    #[test]
    fn values_that_are_no_utf_8_are_cut_between_any_bytes() {
        let cut = Bounds::of(&[0x80; 20], &[&[b'a'; 14][..], &[0xff; 9]].concat());
        assert_eq!((cut.min, cut.min_exact), (vec![0x80; 16], false));
        assert_eq!((&*cut.max, cut.max_exact), (&b"aaaaaaaaaaaaab"[..], false));
        // Nothing comes after these.
        let kept = Bounds::of(b"", &[0xff; 20]);
        assert_eq!((kept.max, kept.max_exact), (vec![0xff; 20], true));
    }

    proptest! {
        #[test]
        fn all_values_lie_between(
            values in prop::collection::vec(
                prop_oneof![
                    "\\PC{0,24}|[é\u{10ffff}]{3,9}".prop_map(String::into_bytes),
                    prop::collection::vec(any::<u8>(), 0..24),
                    prop::collection::vec(0xfd_u8..=0xff, 14..20),
                ],
                1..9,
            ),
        ) {
            let (min, max) = (values.iter().min().unwrap(), values.iter().max().unwrap());
            let bounds = Bounds::of(min, max);
            prop_assert!(bounds.min <= *min && *max <= bounds.max);
            prop_assert_eq!(bounds.min_exact, bounds.min == *min);
            prop_assert_eq!(bounds.max_exact, bounds.max == *max);
        }
    }
}
