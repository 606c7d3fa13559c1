//! Reads one `meta.json` or mark from the bucket.

use std::time::Duration;

use tokio::time::timeout;

use super::{
    MetaFetcher,
    document::Document,
    load::{MAX_DOCUMENT, Wanted},
};
use crate::{BucketError, Operation};

/// The longest time for one object, retries included. A synchronization ends when all new objects were read, so one
/// object must not delay the others as long as the client would wait.
const MAX_WAIT: Duration = Duration::from_secs(60);

impl MetaFetcher {
    /// Reads an object, and logs what is wrong with it if that is new.
    pub(super) async fn read_object(&self, wanted: &Wanted) -> Result<Document, BucketError> {
        let size = wanted.version.size;
        let document = if size > MAX_DOCUMENT {
            let key = wanted.key();
            Document::unusable(format!(
                "{key}: expected at most {MAX_DOCUMENT} bytes, found {size}"
            ))
        } else {
            self.read_and_keep(wanted).await?
        };
        let known = self.known.get(&wanted.block.root, wanted.kind);
        if known.is_none_or(|known| known.document != document) {
            document.log(wanted.kind);
        }
        Ok(document)
    }

    async fn read_and_keep(&self, wanted: &Wanted) -> Result<Document, BucketError> {
        let object = &wanted.version.object(wanted.key());
        let is_usable = |bytes: &[u8]| wanted.decode(bytes).is_readable();
        let read = timeout(MAX_WAIT, self.bucket.get_listed(object, &is_usable)).await;
        let bytes = read.map_err(|_| BucketError::Store {
            operation: Operation::Get,
            key: object.key.clone(),
            cause: format!("no answer within {} s", MAX_WAIT.as_secs()).into(),
        })??;
        let document = wanted.decode(&bytes);
        if let Some(cache) = self.cache.as_ref().filter(|_| document.is_readable()) {
            cache.put(object, bytes).await;
        }
        Ok(document)
    }
}
