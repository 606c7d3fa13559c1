//! Reading an object so that what went wrong on the way is not taken for what is in the bucket.
//!
//! ```text
//! GET ─▶ MD5 as its ETag says? ─ yes ─────────────────────────▶ that is the object, damaged or not
//!                              ├ the ETag tells none ─▶ usable? ┘ yes
//!                              └ no, or not usable: GET again ─▶ the same bytes: that is the object
//!                                                             └▶ others: an error, as if it had failed
//! ```

use bytes::Bytes;
use futures::future::BoxFuture;
use md5::{Digest as _, Md5};

use super::{Bucket, upload::same_length};
use crate::{BucketError, Object, Operation};

impl Bucket {
    /// Reads a small object that a listing shows, once, or twice if it may have been damaged in transit. `is_usable`
    /// tells whether bytes can be such an object. Unusable bytes in the bucket are no error here.
    ///
    /// # Errors
    /// As [`Self::get`]; when the object has another length than in the listing, or other bytes each time.
    pub fn get_listed<'a>(
        &'a self,
        object: &'a Object,
        is_usable: &'a (dyn Fn(&[u8]) -> bool + Sync),
    ) -> BoxFuture<'a, Result<Bytes, BucketError>> {
        Box::pin(async move {
            let is_sure = |bytes: &[u8]| {
                let stated = object.etag.as_deref().and_then(md5_of);
                match stated {
                    Some(stated) => stated == <[u8; 16]>::from(Md5::digest(bytes)),
                    None => is_usable(bytes),
                }
            };
            let first = self.get_whole(object).await?;
            if is_sure(&first) {
                return Ok(first);
            }
            let second = self.get_whole(object).await?;
            if second == first || is_sure(&second) {
                return Ok(second);
            }
            Err(BucketError::Store {
                operation: Operation::Get,
                key: object.key.clone(),
                cause: "expected the same bytes twice, found others".into(),
            })
        })
    }

    /// An object that was cut off in transit or replaced since the listing is not the listed one.
    async fn get_whole(&self, object: &Object) -> Result<Bytes, BucketError> {
        let bytes = self.get(&object.key).await?;
        same_length(Operation::Get, &object.key, object.size, bytes.len() as u64)?;
        Ok(bytes)
    }
}

/// The MD5 in an ETag. The ETag of an object is one if it was written in one part and is not encrypted with a
/// customer's key.
fn md5_of(etag: &str) -> Option<[u8; 16]> {
    let digits = etag.trim_start_matches("W/").trim_matches('"');
    if digits.len() != 32 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let number = u128::from_str_radix(digits, 16).ok();
    number.map(u128::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_of_32_hexadecimal_digits_may_be_an_md5_and_no_other() {
        let md5 = "900150983cd24fb0d6963f7d28e17f72";
        let expected = Some(<[u8; 16]>::from(Md5::digest("abc")));
        for etag in [md5, &md5.to_uppercase(), &format!("\"{md5}\"")] {
            assert_eq!(md5_of(etag), expected, "{etag}");
        }
        for etag in [
            "",
            "7",
            &md5[1..],
            &format!("{md5}-2"),
            &md5.replace('9', "+"),
        ] {
            assert_eq!(md5_of(etag), None, "{etag}");
        }
    }
}
