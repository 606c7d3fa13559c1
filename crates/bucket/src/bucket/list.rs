//! Lists objects.

use std::iter;

use futures::{
    StreamExt as _,
    future::{BoxFuture, try_join_all},
    stream::{BoxStream, TryStreamExt as _},
};
use parking_lot::Mutex;

use super::{Bucket, measured::Asked};
use crate::{BucketError, Object, Operation};

/// How a listing in parts ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InParts {
    /// All objects were given.
    Whole,
    /// Some were given, some perhaps twice: the store does not list in the order of the keys, or not after a key.
    Unordered,
    /// As [`Self::Whole`] if the store lists in order, of which there is no proof.
    Unproven,
}

/// The objects that the last part has at least if the store lists in order. That part has no end, so in any other order
/// some of them follow greater ones.
const PROOF: usize = 1_000;

/// Why a part of a listing ended early.
enum Stop {
    Failed(BucketError),
    Unordered,
}

impl Bucket {
    /// The objects below the folder `prefix` and its subfolders, sorted by key; only those after the key `after`, if
    /// given. Names that no object of ours can have are skipped on every store.
    ///
    /// # Errors
    /// The store's error. If nothing is below the prefix, the list is empty.
    pub fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Vec<Object>, BucketError>> {
        Box::pin(async move {
            let mut objects = Vec::new();
            self.list_each(prefix, after, |object| objects.push(object))
                .await?;
            objects.sort_unstable_by(|a, b| a.key.cmp(&b.key));
            Ok(objects)
        })
    }

    /// As [`Self::list`], each object for itself and in any order, so that not all of them need be held at once. After an
    /// error some were given already.
    ///
    /// # Errors
    /// As [`Self::list`].
    pub(crate) async fn list_each(
        &self,
        prefix: &str,
        after: Option<&str>,
        mut each: impl FnMut(Object) + Send,
    ) -> Result<(), BucketError> {
        let list = async {
            let mut listed = self.listing(prefix, after)?;
            while let Some(object) = listed.try_next().await? {
                // Some servers list from the start, or with `after` itself.
                if after.is_none_or(|after| object.key.as_str() > after) {
                    each(object);
                }
            }
            Ok(())
        };
        self.measured(Asked::new(Operation::Iter, prefix), list)
            .await
    }

    /// All objects, each for itself, in parts that are listed at once: a store gives a thousand objects an answer, and
    /// tells only there where the next answer begins. `splits` are ascending keys; a part ends with one of them. After an
    /// error some were given already.
    ///
    /// # Errors
    /// As [`Self::list`].
    pub(crate) async fn list_in_parts(
        &self,
        splits: &[String],
        each: impl FnMut(Object) + Send,
    ) -> Result<InParts, BucketError> {
        let list = async {
            // All parts are polled by one task.
            let each = Mutex::new(each);
            let ends = splits.iter().map(|key| Some(key.as_str()));
            let begins = iter::once(None).chain(ends.clone());
            let parts = begins.zip(ends.chain([None]));
            let parts = parts.map(|(after, until)| self.list_part(after, until, &each));
            match try_join_all(parts).await {
                Ok(listed) if listed.last() >= Some(&PROOF) => Ok(InParts::Whole),
                Ok(_) => Ok(InParts::Unproven),
                Err(Stop::Unordered) => Ok(InParts::Unordered),
                Err(Stop::Failed(error)) => Err(error),
            }
        };
        self.measured(Asked::new(Operation::Iter, ""), list).await
    }

    /// Lists the objects after `after` up to `until`, which is one of them; gives their number.
    async fn list_part(
        &self,
        after: Option<&str>,
        until: Option<&str>,
        each: &Mutex<impl FnMut(Object) + Send>,
    ) -> Result<usize, Stop> {
        let mut listed = self.listing("", after).map_err(Stop::Failed)?;
        let mut before = after.map(str::to_owned);
        let mut count = 0;
        while let Some(object) = listed.try_next().await.map_err(Stop::Failed)? {
            if after == Some(object.key.as_str()) {
                continue;
            }
            if before.as_ref().is_some_and(|before| object.key <= *before) {
                return Err(Stop::Unordered);
            }
            if until.is_some_and(|until| object.key.as_str() > until) {
                break;
            }
            before.get_or_insert_default().clone_from(&object.key);
            each.lock()(object);
            count += 1;
        }
        Ok(count)
    }

    /// What the store lists below `prefix`, after a key if it can do that.
    fn listing(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<BoxStream<'_, Result<Object, BucketError>>, BucketError> {
        let operation = Operation::Iter;
        let prefix = prefix.trim_end_matches('/').to_owned();
        let root = self.path(operation, &prefix)?;
        let root = (!root.as_ref().is_empty()).then_some(&root);
        let listed = match after {
            Some(after) => {
                let after = self.path(operation, after)?;
                self.store.list_with_offset(root, &after)
            }
            None => self.store.list(root),
        };
        let listed = listed.map(move |found| match found {
            Ok(found) => Ok(self.object(found)),
            Err(source) => Err(BucketError::store(operation, &prefix, source)),
        });
        Ok(listed.boxed())
    }
}
