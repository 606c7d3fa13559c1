//! A series as a line of little bars, for a terminal.

/// The bars, from the lowest to the highest.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Draws `samples` (timestamps in ms, in order, and values) in `width` columns of equal time.
///
/// A column shows the mean of its samples; one without samples, or with only NaN, is blank.
pub(crate) fn sparkline(samples: &[(i64, f64)], width: usize) -> String {
    let (Some((first, _)), Some((last, _))) = (samples.first(), samples.last()) else {
        return String::new();
    };
    let span = last.abs_diff(*first) + 1;
    let mut columns = vec![(0.0, 0_u32); width];
    for (time, value) in samples.iter().filter(|(_, v)| v.is_finite()) {
        let passed = u128::from(time.abs_diff(*first));
        let column = passed * width as u128 / u128::from(span);
        let column = usize::try_from(column)
            .ok()
            .and_then(|c| columns.get_mut(c));
        if let Some((sum, count)) = column {
            *sum += value;
            *count += 1;
        }
    }
    let means: Vec<Option<f64>> = columns
        .into_iter()
        .map(|(sum, count)| (count > 0).then(|| sum / f64::from(count)))
        .collect();
    let least = means
        .iter()
        .flatten()
        .copied()
        .fold(f64::INFINITY, f64::min);
    let most = means
        .iter()
        .flatten()
        .copied()
        .fold(f64::NEG_INFINITY, f64::max);
    let bar = |mean: f64| {
        let thresholds = (1..BARS.len()).map(|i| {
            let share = f64::from(u8::try_from(i).unwrap_or(u8::MAX)) / 8.0;
            least + (most - least) * share
        });
        let at = thresholds.filter(|t| most > least && mean >= *t).count();
        BARS.get(at).copied().unwrap_or(' ')
    };
    means.into_iter().map(|m| m.map_or(' ', bar)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_and_the_highest_get_the_outer_bars() {
        let rising: Vec<_> = (0..8).map(|i| (i64::from(i) * 10, f64::from(i))).collect();
        assert_eq!(sparkline(&rising, 8), "▁▂▃▄▅▆▇█");
    }

    #[test]
    fn gaps_and_nan_are_blank_and_a_constant_is_low() {
        assert_eq!(sparkline(&[(0, 1.0), (39, 1.0)], 4), "▁  ▁");
        assert_eq!(sparkline(&[(0, f64::NAN), (39, 5.0)], 2), " ▁");
        assert_eq!(sparkline(&[], 4), "");
    }
}
