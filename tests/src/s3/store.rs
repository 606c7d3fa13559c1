//! Objects and unfinished uploads, in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use bytes::{Bytes, BytesMut};
use md5::{Digest as _, Md5};

/// The objects of a bucket.
#[derive(Debug, Default)]
pub(super) struct Store {
    objects: BTreeMap<String, Object>,
    uploads: BTreeMap<String, Upload>,
    /// Numbers uploads and the ETags of what is uploaded in parts.
    next: u64,
    /// Whether all preconditions are taken for met, as some servers do.
    pub(super) ignores_preconditions: bool,
}

/// An object.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) bytes: Bytes,
    pub(super) etag: String,
    /// Milliseconds since the Unix epoch.
    pub(super) modified: i64,
}

/// What a write asks of what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Precondition {
    None,
    /// No object of this key.
    Absent,
    /// An object of this key.
    Present,
    /// An object with this ETag.
    Unchanged(String),
}

/// Why something cannot be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoreError {
    NoSuchKey,
    NoSuchUpload,
    InvalidPart,
    PreconditionFailed,
}

/// What to list.
#[derive(Clone, Debug, Default)]
pub(super) struct Query {
    pub(super) prefix: String,
    /// The key, or folded prefix, behind which the page begins.
    pub(super) after: Option<String>,
    /// Keys are folded behind its first occurrence after the prefix.
    pub(super) delimiter: Option<String>,
    pub(super) limit: usize,
}

/// A page of a list.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) objects: Vec<(String, Object)>,
    /// What was folded.
    pub(super) prefixes: BTreeSet<String>,
    /// The last of this page, if another follows.
    pub(super) next: Option<String>,
}

#[derive(Debug)]
struct Upload {
    key: String,
    parts: BTreeMap<i32, (Bytes, String)>,
}

impl Store {
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.objects.keys().map(String::as_str)
    }

    pub(super) fn get(&self, key: &str) -> Option<&Object> {
        self.objects.get(key)
    }

    /// Puts an object, whatever is there, and returns its ETag, which is its MD5, as S3's is.
    pub(super) fn put(&mut self, key: &str, bytes: Bytes, now: i64) -> String {
        let etag = hex(Md5::digest(&bytes).into());
        self.put_as(key, bytes, etag, now)
    }

    fn put_as(&mut self, key: &str, bytes: Bytes, etag: String, now: i64) -> String {
        let object = Object {
            bytes,
            etag: etag.clone(),
            modified: now,
        };
        self.objects.insert(key.to_owned(), object);
        etag
    }

    /// Puts an object if what is there is as the writer thinks.
    pub(super) fn put_if(
        &mut self,
        key: &str,
        bytes: Bytes,
        precondition: &Precondition,
        now: i64,
    ) -> Result<String, StoreError> {
        self.check(key, precondition)?;
        Ok(self.put(key, bytes, now))
    }

    /// Whether what is there is as the writer thinks.
    fn check(&self, key: &str, precondition: &Precondition) -> Result<(), StoreError> {
        let found = self.objects.get(key).map(|o| &o.etag);
        let met = match (precondition, found) {
            (Precondition::None, _)
            | (Precondition::Absent, None)
            | (Precondition::Present, Some(_)) => true,
            (Precondition::Unchanged(expected), Some(found)) => expected == found,
            _ => false,
        };
        if met || self.ignores_preconditions {
            Ok(())
        } else {
            Err(StoreError::PreconditionFailed)
        }
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<Bytes> {
        self.objects.remove(key).map(|o| o.bytes)
    }

    pub(super) fn create_upload(&mut self, key: &str) -> String {
        let id = self.number();
        let upload = Upload {
            key: key.to_owned(),
            parts: BTreeMap::new(),
        };
        self.uploads.insert(id.clone(), upload);
        id
    }

    pub(super) fn upload_part(
        &mut self,
        id: &str,
        part: i32,
        bytes: Bytes,
    ) -> Result<String, StoreError> {
        let etag = self.number();
        let upload = self.uploads.get_mut(id).ok_or(StoreError::NoSuchUpload)?;
        upload.parts.insert(part, (bytes, etag.clone()));
        Ok(etag)
    }

    /// Makes an object of the parts named, each with the ETag that it was given.
    pub(super) fn complete_upload(
        &mut self,
        id: &str,
        parts: &[(i32, String)],
        precondition: &Precondition,
        now: i64,
    ) -> Result<String, StoreError> {
        let upload = self.uploads.get(id).ok_or(StoreError::NoSuchUpload)?;
        let mut whole = BytesMut::new();
        for (number, expected) in parts {
            match upload.parts.get(number) {
                Some((bytes, etag)) if etag == expected => whole.extend_from_slice(bytes),
                _ => return Err(StoreError::InvalidPart),
            }
        }
        let ascending = parts.is_sorted_by(|(a, _), (b, _)| a < b);
        if parts.is_empty() || !ascending {
            return Err(StoreError::InvalidPart);
        }
        let key = upload.key.clone();
        self.check(&key, precondition)?;
        // As S3 has it: no MD5, and so many parts.
        let etag = format!("{}-{}", self.number(), parts.len());
        let etag = self.put_as(&key, whole.freeze(), etag, now);
        self.uploads.remove(id);
        Ok(etag)
    }

    pub(super) fn abort_upload(&mut self, id: &str) -> Result<(), StoreError> {
        self.uploads
            .remove(id)
            .map(drop)
            .ok_or(StoreError::NoSuchUpload)
    }

    pub(super) fn unfinished_uploads(&self) -> usize {
        self.uploads.len()
    }

    pub(super) fn list(&self, query: &Query) -> Page {
        let mut page = Page::default();
        let mut last = None;
        let from = Bound::Included(query.prefix.as_str());
        let keys = self.objects.range::<str, _>((from, Bound::Unbounded));
        for (key, object) in keys.take_while(|(key, _)| key.starts_with(&query.prefix)) {
            let folded = query.folded(key);
            let name = folded.unwrap_or(key);
            if query.after.as_deref().is_some_and(|after| name <= after)
                || page.prefixes.contains(name)
            {
                continue;
            }
            if page.objects.len() + page.prefixes.len() >= query.limit {
                page.next = last;
                break;
            }
            last = Some(name.to_owned());
            match folded {
                Some(prefix) => drop(page.prefixes.insert(prefix.to_owned())),
                None => page.objects.push((key.clone(), object.clone())),
            }
        }
        page
    }

    fn number(&mut self) -> String {
        self.next += 1;
        hex(u128::from(self.next).to_be_bytes())
    }
}

impl Query {
    /// The part of the key up to the delimiter, included.
    fn folded<'a>(&self, key: &'a str) -> Option<&'a str> {
        let delimiter = self.delimiter.as_deref().filter(|d| !d.is_empty())?;
        let rest = key.strip_prefix(&self.prefix)?;
        let at = rest.find(delimiter)?;
        key.get(..self.prefix.len() + at + delimiter.len())
    }
}

fn hex(bytes: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(keys: &[&str]) -> Store {
        let mut store = Store::default();
        for key in keys {
            store.put(key, Bytes::from((*key).to_owned()), 0);
        }
        store
    }

    fn names(page: &Page) -> Vec<&str> {
        let objects = page.objects.iter().map(|(key, _)| key.as_str());
        objects
            .chain(page.prefixes.iter().map(String::as_str))
            .collect()
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_repetition() {
        let store = store(&["a", "b/1", "b/2", "b/3", "c", "d/1", "e"]);
        for delimiter in [None, Some("/".to_owned())] {
            let mut query = Query {
                delimiter,
                limit: 100,
                ..Query::default()
            };
            let whole = store.list(&query);
            let whole: BTreeSet<String> = names(&whole).into_iter().map(str::to_owned).collect();
            query.limit = 2;
            let mut seen = BTreeSet::new();
            loop {
                let page = store.list(&query);
                for name in names(&page) {
                    assert!(seen.insert(name.to_owned()), "{name} twice");
                }
                query.after = page.next;
                if query.after.is_none() {
                    break;
                }
            }
            assert_eq!(seen, whole);
        }
    }

    #[test]
    fn a_delimiter_folds_what_is_behind_the_prefix() {
        let store = store(&["x/a/1", "x/a/2", "x/b", "x/c/1", "y/1"]);
        let page = store.list(&Query {
            prefix: "x/".to_owned(),
            delimiter: Some("/".to_owned()),
            limit: 10,
            ..Query::default()
        });
        assert_eq!(names(&page), ["x/b", "x/a/", "x/c/"]);
        assert_eq!(page.next, None);
    }

    #[test]
    fn a_write_with_a_precondition_is_done_only_when_it_is_met() {
        let mut store = Store::default();
        let mut number = 0;
        let mut put = |store: &mut Store, condition| {
            number += 1;
            store.put_if("k", vec![number].into(), &condition, 0)
        };
        let failed = Err(StoreError::PreconditionFailed);
        assert_eq!(put(&mut store, Precondition::Present), failed);
        let first = put(&mut store, Precondition::Absent).unwrap();
        assert_eq!(put(&mut store, Precondition::Absent), failed);
        let second = put(&mut store, Precondition::Unchanged(first.clone())).unwrap();
        assert_eq!(put(&mut store, Precondition::Unchanged(first)), failed);
        assert_eq!(store.get("k").unwrap().etag, second);
        store.ignores_preconditions = true;
        let third = put(&mut store, Precondition::Absent).unwrap();
        assert_eq!(store.get("k").unwrap().etag, third);
    }

    #[test]
    fn an_upload_in_parts_is_seen_when_it_is_complete() {
        let mut store = Store::default();
        let id = store.create_upload("k");
        let b = store.upload_part(&id, 2, Bytes::from("b")).unwrap();
        let a = store.upload_part(&id, 1, Bytes::from("a")).unwrap();
        assert!(store.get("k").is_none());
        let complete = |store: &mut Store, parts: &[(i32, String)]| {
            store.complete_upload(&id, parts, &Precondition::None, 0)
        };
        for wrong in [
            vec![(1, b.clone())],
            vec![(2, b.clone()), (1, a.clone())],
            vec![],
        ] {
            assert_eq!(complete(&mut store, &wrong), Err(StoreError::InvalidPart));
        }
        complete(&mut store, &[(1, a), (2, b)]).unwrap();
        assert_eq!(store.get("k").unwrap().bytes, "ab");
        assert_eq!(store.abort_upload(&id), Err(StoreError::NoSuchUpload));
    }
}
