//! What the values of a page, or of a column, lie between.

/// Longer bounds are cut to as many bytes, as parquet-common's writer does: they are read when a block is opened.
const MAX_BOUND: usize = 16;

/// The least and the greatest value, or shorter ones that all values lie between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) min: String,
    pub(super) max: String,
    /// Whether `min` is a value.
    pub(super) min_exact: bool,
    /// Whether `max` is a value.
    pub(super) max_exact: bool,
}

impl Bounds {
    pub(super) fn of(min: &str, max: &str) -> Self {
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

fn prefix(value: &str) -> &str {
    value
        .get(..value.floor_char_boundary(MAX_BOUND))
        .unwrap_or_default()
}

/// A text that comes after all that begin with `prefix`, if there is one.
fn after_all_with(prefix: &str) -> Option<String> {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn long_values_are_cut_and_the_upper_bound_rounded_up() {
        let bounds = Bounds::of("container_cpu_usage", "container_memory_usage");
        assert_eq!(
            (&*bounds.min, bounds.min_exact),
            ("container_cpu_us", false)
        );
        assert_eq!(
            (&*bounds.max, bounds.max_exact),
            ("container_memorz", false)
        );
        let bounds = Bounds::of("", "0123456789abcdef");
        assert_eq!((&*bounds.min, bounds.min_exact), ("", true));
        assert_eq!((&*bounds.max, bounds.max_exact), ("0123456789abcdef", true));
    }

    #[test]
    fn the_last_code_point_is_carried_over_or_kept() {
        let last = "\u{10ffff}".repeat(5);
        assert_eq!(Bounds::of("", &last).max, last);
        let carried = Bounds::of("", &format!("a{last}")).max;
        assert_eq!(carried, "b");
        assert_eq!(after_all_with("\u{d7ff}").unwrap(), "\u{e000}");
    }

    proptest! {
        #[test]
        fn all_values_lie_between(values in prop::collection::vec("\\PC{0,24}|[é\u{10ffff}]{3,9}", 1..9)) {
            let (min, max) = (values.iter().min().unwrap(), values.iter().max().unwrap());
            let bounds = Bounds::of(min, max);
            prop_assert!(bounds.min <= *min && *max <= bounds.max);
            prop_assert_eq!(bounds.min_exact, bounds.min == *min);
            prop_assert_eq!(bounds.max_exact, bounds.max == *max);
        }
    }
}
