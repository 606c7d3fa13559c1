//! Names, values and label sets of series, as Prometheus's API tells them.

use std::collections::{BTreeMap, BTreeSet};

use model::{Labels, Matcher, TimeRange, Timestamp};

use super::Recent;
use crate::{error::AnswerError, view::View};

/// Times further away from 1970 than this are the same to Prometheus, which reads them as floats of seconds.
const FARTHEST_MS: i64 = 1 << 52;

/// Which series are meant.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    /// All must match the labels that Prometheus itself knows.
    pub(crate) matchers: Vec<Matcher>,
    /// Both ends included.
    pub(crate) range: TimeRange,
    /// The most series, names or values wanted; 0 for all.
    pub(crate) limit: usize,
}

/// The matchers that are left for Prometheus; none if its external labels do not match the others.
pub(crate) fn own_matchers(view: &View, matchers: Vec<Matcher>) -> Option<Vec<Matcher>> {
    let mut own = Vec::with_capacity(matchers.len());
    for matcher in matchers {
        match view.labels.get(&matcher.name) {
            Some(value) if !matcher.matches(value) => return None,
            Some(_) => {}
            None => own.push(matcher),
        }
    }
    Some(own)
}

impl Selection {
    /// As parameters of a request to the API.
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![
            ("start", seconds(self.range.min)),
            ("end", seconds(self.range.max)),
        ];
        if !self.matchers.is_empty() {
            let matchers: Vec<String> = self.matchers.iter().map(ToString::to_string).collect();
            pairs.push(("match[]", format!("{{{}}}", matchers.join(","))));
        }
        if self.limit > 0 {
            pairs.push(("limit", self.limit.to_string()));
        }
        pairs
    }

    /// Whether there is a time in the range.
    pub(crate) fn is_empty(&self) -> bool {
        self.range.min > self.range.max
    }
}

impl Recent {
    /// The label sets of the series, as Prometheus has them, and what it warns of.
    pub(crate) async fn series(
        &self,
        selection: &Selection,
    ) -> Result<(Vec<Labels>, Vec<String>), AnswerError> {
        let pairs = selection.pairs();
        let asked = self.ask::<Vec<BTreeMap<String, String>>>("api/v1/series", &pairs);
        let (sets, warnings) = asked.await?;
        let sets = self.pool.run(move || {
            let sets = sets.into_iter().map(|set| Labels::from_pairs(set));
            sets.collect::<Vec<_>>()
        });
        Ok((sets.await, said(warnings)))
    }

    /// The names of the labels of the series, external ones apart, and what Prometheus warns of.
    pub(crate) async fn names(
        &self,
        view: &View,
        selection: &Selection,
    ) -> Result<(BTreeSet<Vec<u8>>, Vec<String>), AnswerError> {
        if view.matches_labels || selection.matchers.is_empty() {
            let pairs = selection.pairs();
            let (names, warnings) = self.ask::<Vec<String>>("api/v1/labels", &pairs).await?;
            return Ok((
                names.into_iter().map(String::into_bytes).collect(),
                said(warnings),
            ));
        }
        let (sets, warnings) = self.series(selection).await?;
        let names = sets
            .iter()
            .flat_map(|set| set.iter().map(|(n, _)| n.into()));
        Ok((names.collect(), warnings))
    }

    /// The values of `label`, which is no external one, and what Prometheus warns of.
    pub(crate) async fn values(
        &self,
        view: &View,
        label: &str,
        selection: &Selection,
    ) -> Result<(BTreeSet<Vec<u8>>, Vec<String>), AnswerError> {
        if view.matches_labels || selection.matchers.is_empty() {
            let path = format!("api/v1/label/{}/values", in_path(label));
            let pairs = selection.pairs();
            let (values, warnings) = self.ask::<Vec<String>>(&path, &pairs).await?;
            return Ok((
                values.into_iter().map(String::into_bytes).collect(),
                said(warnings),
            ));
        }
        let (sets, warnings) = self.series(selection).await?;
        let values = sets.iter().filter_map(|set| set.get(label).map(Into::into));
        Ok((values.collect(), warnings))
    }
}

/// The warnings that say more than that the limit of the request was kept to.
fn said(warnings: Vec<String>) -> Vec<String> {
    let mut warnings = warnings;
    warnings.retain(|w| !w.contains("results truncated due to limit"));
    warnings
}

/// A time as the API takes it.
pub(crate) fn seconds(at: Timestamp) -> String {
    let ms = at.0.clamp(-FARTHEST_MS, FARTHEST_MS);
    let sign = if ms < 0 { "-" } else { "" };
    let ms = ms.unsigned_abs();
    format!("{sign}{}.{:03}", ms / 1000, ms % 1000)
}

/// A label's name in a path: as it is, or in the escaped form that Prometheus reads since it allows other names.
fn in_path(name: &str) -> String {
    let plain = |c: char| c == '_' || c.is_ascii_alphanumeric();
    let digit_first = name.starts_with(|c: char| c.is_ascii_digit());
    if !digit_first && !name.starts_with("U__") && name.chars().all(plain) {
        return name.to_owned();
    }
    let mut out = "U__".to_owned();
    for (i, c) in name.chars().enumerate() {
        match c {
            '_' => out.push_str("__"),
            c if plain(c) && !(i == 0 && c.is_ascii_digit()) => out.push(c),
            c => out.push_str(&format!("_{:x}_", u32::from(c))),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use model::MatchOp;

    use super::*;

    #[test]
    fn times_are_seconds_with_all_milliseconds() {
        for (ms, expected) in [
            (0, "0.000"),
            (1_787_392_800_123, "1787392800.123"),
            (-1, "-0.001"),
            (i64::MIN, "-4503599627370.496"),
            (i64::MAX, "4503599627370.496"),
        ] {
            assert_eq!(seconds(Timestamp(ms)), expected);
        }
    }

    #[test]
    fn names_that_are_not_plain_are_escaped_as_prometheus_reads_them() {
        for (name, expected) in [
            ("job", "job"),
            ("_a1", "_a1"),
            ("http.status", "U__http_2e_status"),
            ("a_b/c", "U__a__b_2f_c"),
            ("größe", "U__gr_f6__df_e"),
            ("1a", "U___31_a"),
            ("U__x", "U__U____x"),
        ] {
            assert_eq!(in_path(name), expected);
        }
    }

    #[test]
    fn matchers_on_external_labels_are_answered_here() {
        let view = View {
            labels: Labels::from_pairs([("cluster", "eu-1")]),
            lowest: Timestamp::MIN,
            own_names: None,
            matches_labels: true,
        };
        let matcher = |op, name: &str, value: &str| Matcher::new(op, name, value).unwrap();
        let of = |matchers: Vec<Matcher>| {
            let own = own_matchers(&view, matchers)?;
            Some(own.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let job = || matcher(MatchOp::Equal, "job", "node");
        let eu = matcher(MatchOp::Regex, "cluster", "eu-.*");
        let us = matcher(MatchOp::Equal, "cluster", "us-1");
        assert_eq!(of(vec![eu, job()]), Some(vec!["job=\"node\"".to_owned()]));
        assert_eq!(of(vec![job(), us]), None);
        assert_eq!(of(vec![]), Some(vec![]));
    }

    #[test]
    fn a_selection_is_asked_for_with_one_selector() {
        let selection = Selection {
            matchers: vec![
                Matcher::new(MatchOp::NotEqual, "a", "x\"y").unwrap(),
                Matcher::new(MatchOp::Equal, "http.status", "5").unwrap(),
            ],
            range: TimeRange::new(1, 2),
            limit: 7,
        };
        let expected = [
            ("start", "0.001".to_owned()),
            ("end", "0.002".to_owned()),
            ("match[]", r#"{a!="x\"y","http.status"="5"}"#.to_owned()),
            ("limit", "7".to_owned()),
        ];
        assert_eq!(selection.pairs(), expected);
        assert!(!selection.is_empty());
    }
}
