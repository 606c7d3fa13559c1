//! A folder as a store whose listings skip everything that is not an object.
//!
//! The library's own listing fails completely at one name that is not UTF-8, one link that leads nowhere or in a
//! circle, or one folder that may not be read.

use std::{
    fmt, fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};
use model::{BlockId, BlockMeta};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, local::LocalFileSystem,
    path::Path as StorePath,
};

use super::{failed, left::is_staged};
use crate::{PARQUET_ROOT, bucket::blocking};

/// The folder. The library does everything except listings.
#[derive(Clone, Debug)]
pub(crate) struct Listed(pub(crate) Arc<LocalFileSystem>);

/// What is found below a folder.
#[derive(Debug, Default)]
struct Found {
    objects: Vec<ObjectMeta>,
    folders: Vec<StorePath>,
    /// The number of skipped names, and one of them.
    passed_over: Option<(usize, PathBuf)>,
}

/// The greatest depth of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    All,
    One,
}

impl Listed {
    async fn look(&self, prefix: Option<&StorePath>, depth: Depth) -> Result<Found> {
        let root = prefix.cloned().unwrap_or_default();
        let folder = Arc::clone(&self.0);
        let look = move || {
            // Without it nothing is known of the bucket: it is not empty.
            is_folder(&dir_of(&folder, &StorePath::default())?)?;
            let dir = dir_of(&folder, &root)?;
            let mut found = Found::default();
            let own = fs::metadata(&dir).map(|meta| (meta.dev(), meta.ino()));
            found.walk(&dir, &root, depth, &mut Vec::from_iter(own))?;
            if let Some((count, path)) = &found.passed_over {
                tracing::debug!(count, ?path, "skipped names that are not objects");
            }
            Ok(found)
        };
        blocking::<_, io::Error>(look).await.map_err(failed)
    }
}

impl Found {
    /// Adds the contents of the folder `dir`, which is `at` in the store. `above` are the folders that contain it.
    fn walk(
        &mut self,
        dir: &Path,
        at: &StorePath,
        depth: Depth,
        above: &mut Vec<(u64, u64)>,
    ) -> io::Result<()> {
        let entries = match fs::read_dir(dir) {
            // It was removed, or is a file.
            Err(error) if is_none(&error) => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let key = name.and_then(|name| StorePath::parse(format!("{at}/{name}")).ok());
            // Links are followed. One that leads nowhere or in a circle is an error.
            let (Some(key), Ok(meta)) = (key, fs::metadata(&path)) else {
                self.pass_over(path);
                continue;
            };
            let id = (meta.dev(), meta.ino());
            if meta.is_dir() && depth == Depth::One {
                self.folders.push(key);
            } else if meta.is_dir() && !above.contains(&id) {
                above.push(id);
                let walked = self.walk(&path, &key, depth, above);
                above.pop();
                walked.or_else(|error| self.unreadable(path, &key, &meta, error))?;
            } else if meta.is_file() && !is_staged(&path) {
                self.objects.push(object(key, &meta));
            } else {
                self.pass_over(path);
            }
        }
        Ok(())
    }

    /// The consequence of a folder that cannot be read. The folder of all Parquet blocks fails the listing. A block is
    /// listed, so that its reader learns what is wrong. Any other folder is skipped.
    fn unreadable(
        &mut self,
        path: PathBuf,
        key: &StorePath,
        meta: &fs::Metadata,
        error: io::Error,
    ) -> io::Result<()> {
        let name = key.filename().unwrap_or_default();
        if name == PARQUET_ROOT {
            let text = format!("{}: {error}", path.display());
            return Err(io::Error::new(error.kind(), text));
        }
        if name.parse::<BlockId>().is_ok() {
            tracing::warn!(?path, %error, "folder of a block not read");
            let key = key.clone().join(BlockMeta::FILE);
            self.objects.push(object(key, meta));
        } else {
            self.pass_over(path);
        }
        Ok(())
    }

    fn pass_over(&mut self, path: PathBuf) {
        let (count, _) = self.passed_over.get_or_insert((0, path));
        *count += 1;
    }
}

/// The path of a folder; the library does not give that of the whole store.
fn dir_of(folder: &LocalFileSystem, at: &StorePath) -> io::Result<PathBuf> {
    if !at.is_root() {
        return folder.path_to_filesystem(at).map_err(io::Error::other);
    }
    let mut dir = folder
        .path_to_filesystem(&StorePath::from(PARQUET_ROOT))
        .map_err(io::Error::other)?;
    dir.pop();
    Ok(dir)
}

fn is_folder(dir: &Path) -> io::Result<()> {
    let found = match fs::metadata(dir) {
        Ok(meta) if meta.is_dir() => return Ok(()),
        Ok(_) => "expected a folder, found a file".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(io::Error::other(format!("{}: {found}", dir.display())))
}

fn is_none(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// As the library describes an object, so that both can be compared.
fn object(location: StorePath, meta: &fs::Metadata) -> ObjectMeta {
    let modified = meta.modified().unwrap_or(std::time::UNIX_EPOCH);
    let since = modified.duration_since(std::time::UNIX_EPOCH);
    let micros = since.unwrap_or_default().as_micros();
    let (inode, size) = (meta.ino(), meta.len());
    ObjectMeta {
        location,
        last_modified: modified.into(),
        size,
        e_tag: Some(format!("\"{inode:x}-{micros:x}-{size:x}\"")),
        version: None,
    }
}

#[async_trait]
impl ObjectStore for Listed {
    async fn put_opts(
        &self,
        path: &StorePath,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.0.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        path: &StorePath,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &StorePath, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(path, options).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<StorePath>>,
    ) -> BoxStream<'static, Result<StorePath>> {
        self.0.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&StorePath>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (this, prefix) = (self.clone(), prefix.cloned());
        let look = async move {
            let found = this.look(prefix.as_ref(), Depth::All).await?;
            Ok::<_, object_store::Error>(stream::iter(found.objects.into_iter().map(Ok)))
        };
        stream::once(look).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&StorePath>) -> Result<ListResult> {
        let found = self.look(prefix, Depth::One).await?;
        Ok(ListResult {
            common_prefixes: found.folders,
            objects: found.objects,
            extensions: Default::default(),
        })
    }

    async fn copy_opts(
        &self,
        from: &StorePath,
        to: &StorePath,
        options: CopyOptions,
    ) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        ffi::OsStr,
        os::unix::{ffi::OsStrExt as _, fs::symlink, net::UnixListener},
    };

    use crate::BucketConfig;

    #[tokio::test]
    async fn a_bucket_whose_folder_has_gone_is_not_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bucket");
        let bucket = BucketConfig::filesystem(&path).open().unwrap();
        bucket.put("z", "22".into()).await.unwrap();
        assert_eq!(bucket.list("absent", None).await.unwrap(), []);
        std::fs::rename(&path, dir.path().join("elsewhere")).unwrap();
        let error = bucket.list("", None).await.unwrap_err().to_string();
        assert!(error.contains(&*path.to_string_lossy()), "{error}");
        assert!(bucket.folders("").await.is_err());
        std::fs::write(&path, "").unwrap();
        let error = bucket.list("", None).await.unwrap_err().to_string();
        assert!(error.contains("expected a folder, found a file"), "{error}");
    }

    #[tokio::test]
    async fn names_that_are_no_objects_are_skipped_at_any_depth() {
        let dir = tempfile::tempdir().unwrap();
        let bucket = BucketConfig::filesystem(dir.path()).open().unwrap();
        bucket.put("a/object", "1".into()).await.unwrap();
        bucket.put("z", "22".into()).await.unwrap();
        for folder in ["", "a", "a/b", "parquet"] {
            let folder = dir.path().join(folder);
            std::fs::create_dir_all(folder.join("empty")).unwrap();
            for name in [&b"\xff\xfe"[..], b"new\nline", b"\x01", b"half#7"] {
                std::fs::write(folder.join(OsStr::from_bytes(name)), "").unwrap();
            }
            std::fs::create_dir_all(folder.join(OsStr::from_bytes(b"dir\xff"))).unwrap();
            std::fs::write(folder.join(OsStr::from_bytes(b"dir\xff/in")), "").unwrap();
            symlink(&folder, folder.join("itself")).unwrap();
            symlink("loop", folder.join("loop")).unwrap();
            symlink("nowhere", folder.join("dangling")).unwrap();
            drop(UnixListener::bind(folder.join("socket")).unwrap());
        }
        symlink(dir.path().join("z"), dir.path().join("y")).unwrap();
        let keys = async |prefix: &str| {
            let listed = bucket.list(prefix, None).await.unwrap();
            listed.into_iter().map(|o| o.key).collect::<Vec<_>>()
        };
        assert_eq!(keys("").await, ["a/object", "y", "z"]);
        assert_eq!(keys("a").await, ["a/object"]);
        for object in bucket.list("", None).await.unwrap() {
            assert_eq!(bucket.head(&object.key).await.unwrap(), object);
        }
        let mut folders = bucket.folders("").await.unwrap();
        folders.sort();
        assert_eq!(folders, ["a", "empty", "itself", "parquet"]);
    }
}
