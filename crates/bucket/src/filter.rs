//! Which blocks of a bucket are worked on or served: Thanos's `--selector.relabel-config`.
//!
//! ```yaml
//! - action: keep                  # or drop
//!   source_labels: [cluster]      # external labels of the block, and __block_id
//!   regex: eu-.*                  # anchored at both ends, as in PromQL
//! - action: hashmod               # sets target_label to a hash of the values, modulo modulus
//!   source_labels: [__block_id]
//!   target_label: shard
//!   modulus: 4
//! ```
//! The rules are Prometheus's relabeling, of which Thanos allows these three. Strict: a field that is not known is an
//! error.

use std::{collections::BTreeMap, sync::Arc};

use md5::{Digest as _, Md5};
use model::{BLOCK_ID, BlockId, Labels, MatchOp, Matcher};
use parking_lot::RwLock;
use serde::Deserialize;

/// Selects blocks by rules; without rules, all. Clones share the rules, which may be replaced.
#[derive(Clone, Debug, Default)]
pub struct BlockFilter(Arc<RwLock<Arc<Rules>>>);

#[derive(Debug, Default)]
struct Rules {
    /// As they were written.
    text: String,
    rules: Vec<Rule>,
}

/// A relabel configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BlockFilterError {
    /// It is not a list of rules.
    #[error("relabel config: {0}")]
    Yaml(String),
    /// A rule is invalid.
    #[error("relabel config: rule {number}: {reason}")]
    Rule {
        /// The number of the rule, from 1.
        number: usize,
        /// What was expected and found.
        reason: String,
    },
}

/// A rule as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    action: Option<String>,
    #[serde(default)]
    source_labels: Vec<String>,
    #[serde(default = "semicolon")]
    separator: String,
    regex: Option<String>,
    modulus: Option<u64>,
    target_label: Option<String>,
    /// Prometheus has it; the three actions do not use it.
    #[serde(default, rename = "replacement")]
    _replacement: Option<String>,
}

#[derive(Clone, Debug)]
struct Rule {
    source_labels: Vec<String>,
    separator: String,
    action: Action,
}

#[derive(Clone, Debug)]
enum Action {
    Keep(Matcher),
    Drop(Matcher),
    HashMod { target: String, modulus: u64 },
}

impl BlockFilter {
    /// Reads the rules; an empty text has none.
    ///
    /// # Errors
    /// For an unknown field or action, an invalid pattern, a hashmod without modulus or target.
    pub fn from_yaml(yaml: &str) -> Result<Self, BlockFilterError> {
        let options = serde_saphyr::options! { with_snippet: false };
        let written: Option<Vec<Written>> = serde_saphyr::from_str_with_options(yaml, options)
            .map_err(|error| BlockFilterError::Yaml(error.to_string()))?;
        let rules = written.unwrap_or_default().into_iter().enumerate();
        let rule = |(index, written): (usize, Written)| {
            written.rule().map_err(|reason| BlockFilterError::Rule {
                number: index + 1,
                reason,
            })
        };
        let rules = Rules {
            text: yaml.to_owned(),
            rules: rules.map(rule).collect::<Result<_, _>>()?,
        };
        Ok(Self(Arc::new(RwLock::new(Arc::new(rules)))))
    }

    /// Replaces the rules of this filter and of its clones by those of another.
    pub fn replace(&self, by: &Self) {
        let rules = by.rules();
        *self.0.write() = rules;
    }

    /// A filter with the rules of now, which stay. Whoever selects several blocks needs one, to select all by the same
    /// rules.
    #[must_use]
    pub fn frozen(&self) -> Self {
        Self(Arc::new(RwLock::new(self.rules())))
    }

    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.0.read())
    }

    /// Whether the rules may take one block of equal external labels and leave another.
    #[must_use]
    pub fn tells_blocks_apart(&self) -> bool {
        let Rules { rules, .. } = &*self.rules();
        let mut names = rules.iter().flat_map(|rule| &rule.source_labels);
        names.any(|name| name == BLOCK_ID)
    }

    /// Whether the rules select a block. Its external labels are asked for only if there are rules.
    #[must_use]
    pub fn selects(&self, block: BlockId, external_labels: impl FnOnce() -> Labels) -> bool {
        let Rules { rules, .. } = &*self.rules();
        if rules.is_empty() {
            return true;
        }
        let mut labels = external_labels().to_texts();
        labels.insert(BLOCK_ID.to_owned(), block.to_string());
        rules.iter().all(|rule| rule.keeps(&mut labels))
    }

    /// Whether the rules may select a block whose external labels are not known: a rule that needs one of them is passed
    /// over.
    #[must_use]
    pub fn may_select(&self, block: BlockId) -> bool {
        let mut known = BTreeMap::from([(BLOCK_ID.to_owned(), block.to_string())]);
        self.rules().rules.iter().all(|rule| {
            if rule
                .source_labels
                .iter()
                .all(|name| known.contains_key(name))
            {
                return rule.keeps(&mut known);
            }
            if let Action::HashMod { target, .. } = &rule.action {
                known.remove(target);
            }
            true
        })
    }
}

impl PartialEq for BlockFilter {
    /// Whether both were read from the same text.
    fn eq(&self, other: &Self) -> bool {
        self.rules().text == other.rules().text
    }
}

impl Rule {
    /// Whether the rule keeps the block. It may change its labels.
    fn keeps(&self, labels: &mut BTreeMap<String, String>) -> bool {
        let values: Vec<&str> = self
            .source_labels
            .iter()
            .map(|name| labels.get(name).map_or("", String::as_str))
            .collect();
        let value = values.join(&self.separator);
        match &self.action {
            Action::Keep(pattern) => pattern.matches(&value),
            Action::Drop(pattern) => !pattern.matches(&value),
            Action::HashMod { target, modulus } => {
                let hash = hash_mod(&value, *modulus).to_string();
                labels.insert(target.clone(), hash);
                true
            }
        }
    }
}

/// Prometheus's hash: the last eight bytes of the MD5, as one big-endian number, modulo `modulus`.
fn hash_mod(value: &str, modulus: u64) -> u64 {
    let digest: [u8; 16] = Md5::digest(value.as_bytes()).into();
    let last = u128::from_be_bytes(digest) & u128::from(u64::MAX);
    let rest = last % u128::from(modulus.max(1));
    u64::try_from(rest).unwrap_or(u64::MAX)
}

impl Written {
    fn rule(self) -> Result<Rule, String> {
        let action = self.action.as_deref().unwrap_or("replace");
        let action = match action.to_lowercase().as_str() {
            "keep" => Action::Keep(self.pattern()?),
            "drop" => Action::Drop(self.pattern()?),
            "hashmod" => Action::HashMod {
                target: self
                    .target_label
                    .filter(|target| !target.is_empty())
                    .ok_or("hashmod: expected a target_label, found none")?,
                modulus: self
                    .modulus
                    .filter(|modulus| *modulus > 0)
                    .ok_or("hashmod: expected a modulus above 0, found none")?,
            },
            _ => {
                return Err(format!(
                    "action: expected keep, drop or hashmod, found {action}"
                ));
            }
        };
        Ok(Rule {
            source_labels: self.source_labels,
            separator: self.separator,
            action,
        })
    }

    fn pattern(&self) -> Result<Matcher, String> {
        let pattern = self.regex.as_deref().unwrap_or("(.*)");
        Matcher::new(MatchOp::Regex, "regex", pattern).map_err(|error| error.to_string())
    }
}

fn semicolon() -> String {
    ";".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: &str = "01HF8J5JG0RAVB4GMS32W7ZJ2B";

    fn selects(yaml: &str, labels: &[(&str, &str)]) -> bool {
        let filter = BlockFilter::from_yaml(yaml).unwrap();
        let labels = Labels::from_pairs(labels.iter().copied());
        filter.selects(BLOCK.parse().unwrap(), || labels)
    }

    #[test]
    fn without_rules_all_blocks_are_worked_on() {
        for none in ["", "[]", "# nothing"] {
            assert!(selects(none, &[]), "{none:?}");
        }
    }

    #[test]
    fn rules_are_replaced_for_all_clones_but_frozen_ones() {
        let of = |cluster: &str| {
            let yaml = format!("[{{action: keep, source_labels: [cluster], regex: {cluster}}}]");
            BlockFilter::from_yaml(&yaml).unwrap()
        };
        let selects = |filter: &BlockFilter, cluster: &str| {
            let labels = Labels::from_pairs([("cluster", cluster)]);
            filter.selects(BLOCK.parse().unwrap(), || labels)
        };
        let filter = of("a");
        let (clone, frozen) = (filter.clone(), filter.frozen());
        filter.replace(&of("b"));
        for changed in [&filter, &clone] {
            assert!(selects(changed, "b") && !selects(changed, "a"));
        }
        assert!(selects(&frozen, "a") && !selects(&frozen, "b"));
        assert!(filter == of("b") && frozen == of("a"));
    }

    #[test]
    fn a_block_without_known_labels_is_left_out_where_its_id_alone_decides() {
        let shard = |shard: u32| {
            let yaml = format!(
                "[{{action: hashmod, source_labels: [__block_id], target_label: shard, modulus: 2}}, \
                  {{action: keep, source_labels: [shard], regex: {shard}}}]"
            );
            BlockFilter::from_yaml(&yaml).unwrap()
        };
        let block: BlockId = BLOCK.parse().unwrap();
        for of in [shard(0), shard(1)] {
            assert_eq!(of.may_select(block), of.selects(block, Labels::default));
        }
        let by_label = "[{action: hashmod, source_labels: [cluster], target_label: shard, modulus: 2}, \
                        {action: keep, source_labels: [shard], regex: 7}, \
                        {action: drop, source_labels: [__block_id], regex: 01HF.*}]";
        let by_label = BlockFilter::from_yaml(by_label).unwrap();
        assert!(!by_label.may_select(block));
        let keep = BlockFilter::from_yaml("[{action: keep, source_labels: [cluster], regex: a}]");
        assert!(keep.unwrap().may_select(block));
        assert!(BlockFilter::default().may_select(block));
    }

    #[test]
    fn rules_keep_and_drop_by_labels_in_their_order() {
        let keep = "[{action: keep, source_labels: [cluster], regex: eu-.*}]";
        assert!(selects(keep, &[("cluster", "eu-1")]));
        assert!(!selects(keep, &[("cluster", "us-1")]));
        assert!(!selects(keep, &[("cluster", "not-eu-1")]), "anchored");
        assert!(!selects(keep, &[]), "a label that is missing is empty");
        let both = "
- action: Drop
  source_labels: [cluster, replica]
  regex: eu-1;b
- action: keep
  source_labels: [cluster]
  regex: eu-1|eu-2
";
        let of = |cluster, replica| selects(both, &[("cluster", cluster), ("replica", replica)]);
        assert!(of("eu-1", "a"));
        assert!(!of("eu-1", "b"));
        assert!(of("eu-2", "b"));
        assert!(!of("us-1", "a"));
    }

    #[test]
    fn the_separator_may_be_another_or_none() {
        let rule = |separator| {
            format!(
                "[{{action: keep, source_labels: [a, b], separator: '{separator}', regex: 'x{separator}y'}}]"
            )
        };
        for separator in ["", "-", ";"] {
            assert!(selects(&rule(separator), &[("a", "x"), ("b", "y")]));
        }
    }

    #[test]
    fn a_block_is_known_by_its_name() {
        let keep = |regex: &str| {
            format!("[{{action: keep, source_labels: [__block_id], regex: {regex}}}]")
        };
        assert!(selects(&keep(BLOCK), &[]));
        assert!(!selects(&keep("01HF.*X"), &[]));
    }

    #[test]
    fn hashes_are_those_of_prometheus() {
        // MD5 of "bar" is 37b51d194a7513e45b56f6524f2d51f2, of which the last eight bytes count.
        assert_eq!(hash_mod("bar", 1000), 0x5b56_f652_4f2d_51f2 % 1000);
        assert_eq!(hash_mod("bar", u64::MAX), 0x5b56_f652_4f2d_51f2);
    }

    #[test]
    fn each_block_is_worked_on_by_one_of_the_shards() {
        let shard = |index: u64| {
            format!(
                "
- action: hashmod
  source_labels: [__block_id]
  target_label: shard
  modulus: 3
- action: keep
  source_labels: [shard]
  regex: '{index}'
"
            )
        };
        let shards: Vec<BlockFilter> = (0..3)
            .map(|index| BlockFilter::from_yaml(&shard(index)).unwrap())
            .collect();
        let mut counts = [0; 3];
        for random in 0..300 {
            let block = BlockId::new(model::Timestamp(1), random);
            let by: Vec<usize> = (0..3)
                .filter(|index| shards[*index].selects(block, Labels::default))
                .collect();
            assert_eq!(by.len(), 1, "{block}: {by:?}");
            counts[by[0]] += 1;
        }
        assert!(counts.iter().all(|count| *count > 60), "{counts:?}");
    }

    #[test]
    fn an_invalid_rule_is_named() {
        for (yaml, expected) in [
            (
                "[{source_labels: [a]}]",
                "relabel config: rule 1: action: expected keep, drop or hashmod, found replace",
            ),
            (
                "[{action: keep}, {action: labeldrop}]",
                "relabel config: rule 2: action: expected keep, drop or hashmod, found labeldrop",
            ),
            (
                "[{action: hashmod, target_label: a}]",
                "relabel config: rule 1: hashmod: expected a modulus above 0, found none",
            ),
            (
                "[{action: hashmod, modulus: 3}]",
                "relabel config: rule 1: hashmod: expected a target_label, found none",
            ),
            (
                "[{action: keep, regex: '('}]",
                "relabel config: rule 1: matcher ",
            ),
            ("[{action: keep, regexp: a}]", "relabel config: "),
            ("action: keep", "relabel config: "),
        ] {
            let error = BlockFilter::from_yaml(yaml).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{yaml}: {error}");
        }
        let unknown = BlockFilter::from_yaml("[{action: keep, regexp: a}]").unwrap_err();
        assert!(unknown.to_string().contains("regexp"), "{unknown}");
    }
}
