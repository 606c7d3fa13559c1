//! JSON as Go's `encoding/json` reads it into a struct, for what programs in Go, or people, have written.
//!
//! `null` is absent, names match in any case, and of two members of one name the last counts. `serde` does none of
//! that, so a document is first brought into the form that `serde` expects.

use serde_json::{Map, Value};

/// The members of an object.
pub(crate) type Members = Map<String, Value>;

/// Renames the members that equal one of `names` except for case, and removes those of `names` that are `null`. Other
/// members are unchanged.
pub(crate) fn settle(members: &mut Members, names: &[&str]) {
    for (key, value) in std::mem::take(members) {
        match known(&key, names) {
            Some(_) if value.is_null() => {}
            Some(name) => {
                members.insert(name.to_owned(), value);
            }
            None => {
                members.insert(key, value);
            }
        }
    }
}

/// Whether a member equals one of `names` except for case.
pub(crate) fn has_other_spelling(members: &Members, names: &[&str]) -> bool {
    members.keys().any(|key| known(key, names).is_some())
}

fn known<'n>(key: &str, names: &[&'n str]) -> Option<&'n str> {
    let mut names = names.iter();
    names.find(|name| name.eq_ignore_ascii_case(key)).copied()
}

/// The object that a member is, if it is one.
pub(crate) fn object<'a>(members: &'a mut Members, name: &str) -> Option<&'a mut Members> {
    members.get_mut(name)?.as_object_mut()
}

/// Removes the `null`s from a member that is an array, and gives its objects.
pub(crate) fn objects<'a>(
    members: &'a mut Members,
    name: &str,
) -> impl Iterator<Item = &'a mut Members> + use<'a> {
    let array = members.get_mut(name).and_then(Value::as_array_mut);
    let array = array.into_iter().flat_map(|array| {
        array.retain(|value| !value.is_null());
        array.iter_mut()
    });
    array.filter_map(Value::as_object_mut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_count_in_any_case_and_null_is_absent() {
        let json = r#"{"MINTIME":1,"maxTime":null,"MaxTime":2,"x":null,"y":1,"y":2}"#;
        let mut members: Members = serde_json::from_str(json).unwrap();
        settle(&mut members, &["minTime", "maxTime"]);
        let settled = serde_json::to_string(&members).unwrap();
        assert_eq!(settled, r#"{"minTime":1,"maxTime":2,"x":null,"y":2}"#);
    }

    #[test]
    fn an_array_has_no_nulls() {
        let json = r#"{"a":[null,{"b":1},null,2]}"#;
        let mut members: Members = serde_json::from_str(json).unwrap();
        assert_eq!(objects(&mut members, "a").count(), 1);
        let settled = serde_json::to_string(&members).unwrap();
        assert_eq!(settled, r#"{"a":[{"b":1},2]}"#);
    }
}
