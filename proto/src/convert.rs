//! Between wire types and the vocabulary of `model`.

use std::{collections::BTreeSet, num::NonZeroU64};

use bytes::{BufMut, BytesMut};
use model::{Labels, MatchOp, Matcher, MatcherError};
use series::{Hashed, Shard};

use crate::{prompb, thanos};

/// A message that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// A matcher's type has no meaning here.
    #[error("matcher on {name:?}: unknown type {found}, expected 0 to 3")]
    MatcherType {
        /// The matcher's label.
        name: String,
        /// The type's number.
        found: i32,
    },
    /// A matcher's expression is invalid.
    #[error(transparent)]
    Matcher(#[from] MatcherError),
}

/// Compiles a request's matchers.
///
/// # Errors
/// When a type is unknown or a regular expression invalid; the client's fault in both cases.
pub fn matchers(wire: &[thanos::LabelMatcher]) -> Result<Vec<Matcher>, ConvertError> {
    wire.iter().map(matcher).collect()
}

fn matcher(wire: &thanos::LabelMatcher) -> Result<Matcher, ConvertError> {
    use thanos::label_matcher::Type;
    let op = match Type::try_from(wire.r#type) {
        Ok(Type::Eq) => MatchOp::Equal,
        Ok(Type::Neq) => MatchOp::NotEqual,
        Ok(Type::Re) => MatchOp::Regex,
        Ok(Type::Nre) => MatchOp::NotRegex,
        Err(_) => {
            return Err(ConvertError::MatcherType {
                name: wire.name.clone(),
                found: wire.r#type,
            });
        }
    };
    Ok(Matcher::new(op, wire.name.as_str(), wire.value.as_ref())?)
}

impl From<&Matcher> for thanos::LabelMatcher {
    fn from(matcher: &Matcher) -> Self {
        use thanos::label_matcher::Type;
        let op = match matcher.op {
            MatchOp::Equal => Type::Eq,
            MatchOp::NotEqual => Type::Neq,
            MatchOp::Regex => Type::Re,
            MatchOp::NotRegex => Type::Nre,
        };
        Self {
            r#type: op.into(),
            name: matcher.name.clone(),
            value: matcher.value.clone().into(),
        }
    }
}

impl From<&Matcher> for prompb::LabelMatcher {
    fn from(matcher: &Matcher) -> Self {
        use prompb::label_matcher::Type;
        let op = match matcher.op {
            MatchOp::Equal => Type::Eq,
            MatchOp::NotEqual => Type::Neq,
            MatchOp::Regex => Type::Re,
            MatchOp::NotRegex => Type::Nre,
        };
        Self {
            r#type: op.into(),
            name: matcher.name.clone(),
            value: matcher.value.clone().into(),
        }
    }
}

/// The share of all series that a request asks for; none if it asks for all.
#[must_use]
pub fn shard(wire: &thanos::ShardInfo) -> Option<Shard> {
    let total = u64::try_from(wire.total_shards)
        .ok()
        .and_then(NonZeroU64::new)?;
    let names = wire.labels.iter().map(|name| name.clone().into_bytes());
    let names: BTreeSet<Vec<u8>> = names.collect();
    Some(Shard {
        // A share that is none holds nothing.
        index: u64::try_from(wire.shard_index).unwrap_or(u64::MAX),
        total,
        hashed: if wire.by {
            Hashed::Only(names)
        } else {
            Hashed::Without(names)
        },
    })
}

/// A series' labels on the wire. All names and values are slices of one allocation.
#[must_use]
pub fn wire_labels(labels: &Labels) -> Vec<thanos::Label> {
    let size = labels.iter().map(|(n, v)| n.len() + v.len()).sum();
    let mut text = BytesMut::with_capacity(size);
    for (name, value) in labels.iter() {
        text.put_slice(name);
        text.put_slice(value);
    }
    let mut text = text.freeze();
    let pairs = labels.iter().map(|(name, value)| thanos::Label {
        name: text.split_to(name.len()),
        value: text.split_to(value.len()),
    });
    pairs.collect()
}

/// The labels that a peer sent, in the order of their names.
#[must_use]
pub fn model_labels(wire: &[thanos::Label]) -> Labels {
    let pairs = wire.iter().map(|label| (&*label.name, &*label.value));
    let mut pairs: Vec<(&[u8], &[u8])> = pairs.collect();
    // Peers send them sorted; whoever does not is put right here.
    if !pairs.is_sorted() {
        pairs.sort_unstable();
    }
    Labels::from_sorted(pairs)
}

/// A set of labels on the wire.
impl From<&Labels> for thanos::ZLabelSet {
    fn from(labels: &Labels) -> Self {
        Self {
            labels: wire_labels(labels),
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    #[test]
    fn labels_survive_the_wire() {
        let labels = Labels::from_pairs([("__name__", "up"), ("größe", "π"), ("a", "x")]);
        let set = thanos::ZLabelSet::from(&labels);
        let decoded = thanos::ZLabelSet::decode(set.encode_to_vec().as_slice()).unwrap();
        assert_eq!(model_labels(&decoded.labels), labels);
    }

    #[test]
    fn labels_out_of_order_are_put_in_order() {
        let labels = Labels::from_pairs([("a", "1"), ("b", "2")]);
        let mut wire = wire_labels(&labels);
        wire.reverse();
        assert_eq!(model_labels(&wire), labels);
    }

    #[test]
    fn bytes_that_are_no_utf_8_survive_the_wire() {
        let labels = Labels::from_pairs([(&b"a"[..], &b"ab\xff"[..]), (b"\xfe", b"\x80")]);
        let set = thanos::ZLabelSet::from(&labels).encode_to_vec();
        let decoded = thanos::ZLabelSet::decode(set.as_slice()).unwrap();
        assert_eq!(model_labels(&decoded.labels), labels);
        let matcher = Matcher::new(MatchOp::Equal, "a", *b"ab\xff").unwrap();
        let wire = thanos::LabelMatcher::from(&matcher).encode_to_vec();
        let decoded = thanos::LabelMatcher::decode(wire.as_slice()).unwrap();
        assert!(matchers(&[decoded]).unwrap()[0].matches(b"ab\xff"));
    }

    #[test]
    fn matchers_survive_the_wire() {
        for (op, value) in [
            (MatchOp::Equal, "x"),
            (MatchOp::NotEqual, ""),
            (MatchOp::Regex, "a|b"),
            (MatchOp::NotRegex, ".+"),
        ] {
            let matcher = Matcher::new(op, "n", value).unwrap();
            let back = matchers(&[thanos::LabelMatcher::from(&matcher)]).unwrap();
            assert_eq!((back[0].op, &*back[0].value), (op, value.as_bytes()));
            let remote = prompb::LabelMatcher::from(&matcher);
            assert_eq!(remote.r#type, thanos::LabelMatcher::from(&matcher).r#type);
        }
    }

    #[test]
    fn a_matcher_without_meaning_is_an_error() {
        let wire = |r#type, value: &str| thanos::LabelMatcher {
            r#type,
            name: "job".into(),
            value: value.to_owned().into(),
        };
        let error = matchers(&[wire(4, "x")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "matcher on \"job\": unknown type 4, expected 0 to 3"
        );
        assert!(matchers(&[wire(2, "(")]).is_err());
    }
}
