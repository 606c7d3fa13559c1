//! A folder as a store whose listings skip everything that is not an object.
//!
//! The library's own listing fails completely at one name that is not UTF-8, one link that leads nowhere or in a
//! circle, or one folder that may not be read.

use std::{
    fmt, fs, io,
    os::unix::fs::MetadataExt as _,
    panic::resume_unwind,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};
use model::{BlockId, BlockMeta};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, local::LocalFileSystem,
    path::Path as StorePath,
};
use tokio::sync::mpsc;

use super::{failed, left::is_staged};
use crate::{PARQUET_ROOT, bucket::blocking, threads::threads};

/// The folder. The library does everything except listings.
#[derive(Clone, Debug)]
pub(crate) struct Listed(pub(crate) Arc<LocalFileSystem>);

/// At most so many threads list folders.
const THREADS: usize = 8;
/// A thread lists at least so many.
const SHARE: usize = 256;
/// So many objects are handed on at once.
const BATCH: usize = 1024;
/// So many batches may wait for whoever asked.
const BATCHES: usize = 4;

/// What is found below a folder.
#[derive(Debug, Default)]
struct Found {
    objects: Vec<ObjectMeta>,
    folders: Vec<StorePath>,
    /// Takes the objects as they are found, if they are not all to be held.
    taker: Option<mpsc::Sender<Vec<ObjectMeta>>>,
    /// The number of skipped names, and one of them.
    passed_over: Option<(usize, PathBuf)>,
}

/// A folder to be listed.
#[derive(Debug)]
struct Below {
    path: PathBuf,
    /// Where it is in the store.
    key: StorePath,
    /// The folder that contains it, if that is listed too.
    parent: Option<Arc<Self>>,
}

/// The greatest depth of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    All,
    One,
}

impl Listed {
    /// Looks what is below a folder; the objects go to `taker`, if there is one.
    async fn look(
        &self,
        prefix: Option<StorePath>,
        depth: Depth,
        taker: Option<mpsc::Sender<Vec<ObjectMeta>>>,
    ) -> Result<Found> {
        let root = prefix.unwrap_or_default();
        let folder = Arc::clone(&self.0);
        let look = move || {
            // Without it nothing is known of the bucket: it is not empty.
            is_folder(&dir_of(&folder, &StorePath::default())?)?;
            let mut found = Found {
                taker,
                ..Found::default()
            };
            let root = Arc::new(Below {
                path: dir_of(&folder, &root)?,
                key: root,
                parent: None,
            });
            let mut folders = Vec::new();
            found.list(&root, &mut folders)?;
            while depth == Depth::All && !folders.is_empty() {
                folders = found.list_all(folders)?;
            }
            found.folders = folders.into_iter().map(|below| below.key).collect();
            found.hand_on();
            if let Some((count, path)) = &found.passed_over {
                tracing::debug!(count, ?path, "skipped names that are not objects");
            }
            Ok(found)
        };
        blocking::<_, io::Error>(look).await.map_err(failed)
    }
}

impl Found {
    /// Adds the objects below each of these folders, by some threads; gives the folders that are too many for the thread
    /// that has found them.
    fn list_all(&mut self, mut folders: Vec<Below>) -> io::Result<Vec<Below>> {
        let share = folders.len().div_ceil(threads(THREADS)).max(SHARE);
        let mut shares = Vec::new();
        while !folders.is_empty() {
            shares.push(folders.split_off(folders.len().saturating_sub(share)));
        }
        let mut below = Vec::new();
        thread::scope(|scope| {
            let running = shares.into_iter().map(|share| {
                let found = Self {
                    taker: self.taker.clone(),
                    ..Self::default()
                };
                scope.spawn(|| found.list_share(share))
            });
            let running: Vec<_> = running.collect();
            for share in running {
                let done = share.join().unwrap_or_else(|panic| resume_unwind(panic));
                let (found, more) = done?;
                self.objects.extend(found.objects);
                below.extend(more);
                if let Some((count, path)) = found.passed_over {
                    self.passed_over.get_or_insert((0, path)).0 += count;
                }
            }
            Ok(below)
        })
    }

    /// Adds the objects below these folders; gives itself and the folders that are left to others.
    fn list_share(mut self, mut folders: Vec<Below>) -> io::Result<(Self, Vec<Below>)> {
        let mut left = Vec::new();
        while let Some(folder) = folders.pop() {
            let folder = Arc::new(folder);
            let mut below = Vec::new();
            if let Err(error) = self.list(&folder, &mut below) {
                self.unreadable(&folder, error)?;
            }
            match below.len() > SHARE {
                true => left.append(&mut below),
                false => folders.append(&mut below),
            }
        }
        self.hand_on();
        Ok((self, left))
    }

    /// Adds the objects right below a folder, and to `folders` the folders there; those that come before an error too.
    fn list(&mut self, folder: &Arc<Below>, folders: &mut Vec<Below>) -> io::Result<()> {
        let entries = match fs::read_dir(&folder.path) {
            // It was removed, or is a file.
            Err(error) if is_none(&error) => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let key = name.and_then(|n| StorePath::parse(format!("{}/{n}", folder.key)).ok());
            match (key, Kind::of(&entry, &path, folder)) {
                (Some(key), Some(Kind::Folder)) => folders.push(Below {
                    path,
                    key,
                    parent: Some(Arc::clone(folder)),
                }),
                (Some(key), Some(Kind::File(meta))) if !is_staged(&path) => {
                    self.objects.push(object(key, &meta));
                    if self.objects.len() >= BATCH {
                        self.hand_on();
                    }
                }
                _ => self.pass_over(path),
            }
        }
        Ok(())
    }

    /// Hands on what was found. If nobody wants it any more, it is dropped.
    fn hand_on(&mut self) {
        if let Some(taker) = &self.taker {
            let objects = std::mem::take(&mut self.objects);
            // The receiver may be gone.
            let _ = taker.blocking_send(objects);
        }
    }

    /// The consequence of a folder that cannot be read. The folder of all Parquet blocks fails the listing. A block is
    /// listed, so that its reader learns what is wrong. Any other folder is skipped.
    fn unreadable(&mut self, folder: &Below, error: io::Error) -> io::Result<()> {
        let (path, name) = (&folder.path, folder.key.filename().unwrap_or_default());
        if name == PARQUET_ROOT {
            let text = format!("{}: {error}", path.display());
            return Err(io::Error::new(error.kind(), text));
        }
        match fs::metadata(path) {
            Ok(meta) if name.parse::<BlockId>().is_ok() => {
                tracing::warn!(?path, %error, "folder of a block not read");
                let key = folder.key.clone().join(BlockMeta::FILE);
                self.objects.push(object(key, &meta));
            }
            _ => self.pass_over(path.clone()),
        }
        Ok(())
    }

    fn pass_over(&mut self, path: PathBuf) {
        let (count, _) = self.passed_over.get_or_insert((0, path));
        *count += 1;
    }
}

impl Below {
    /// Whether this is the folder itself or one that contains it.
    fn is_within(&self, meta: &fs::Metadata) -> bool {
        let is_same = |own: fs::Metadata| (own.dev(), own.ino()) == (meta.dev(), meta.ino());
        let parent = || self.parent.as_ref();
        fs::metadata(&self.path).is_ok_and(is_same) || parent().is_some_and(|p| p.is_within(meta))
    }
}

/// What can be in a listing.
#[derive(Debug)]
enum Kind {
    Folder,
    File(fs::Metadata),
}

impl Kind {
    /// What an entry of `folder` is; none if it is neither, or a link that leads nowhere or in a circle. Only a file or a
    /// link costs a call for its metadata.
    fn of(entry: &fs::DirEntry, path: &Path, folder: &Below) -> Option<Self> {
        let kind = entry.file_type().ok()?;
        if kind.is_dir() {
            return Some(Self::Folder);
        }
        if kind.is_file() {
            return entry.metadata().ok().map(Self::File);
        }
        let meta = fs::metadata(path).ok()?;
        match meta.is_dir() {
            true => (!folder.is_within(&meta)).then_some(Self::Folder),
            false => meta.is_file().then_some(Self::File(meta)),
        }
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
pub(super) fn object(location: StorePath, meta: &fs::Metadata) -> ObjectMeta {
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
        let (taker, taken) = mpsc::channel(BATCHES);
        let (this, prefix) = (self.clone(), prefix.cloned());
        let look = async move {
            let looked = this.look(prefix, Depth::All, Some(taker)).await;
            // All objects were handed on; what is left to say is that they are not all there are.
            Ok::<_, object_store::Error>(stream::iter(looked.err().map(Err)))
        };
        let batches = stream::unfold(taken, async |mut taken| {
            let batch: Vec<ObjectMeta> = taken.recv().await?;
            Some((stream::iter(batch).map(Ok), taken))
        });
        let ended = stream::once(look).try_flatten();
        stream::select(batches.flatten(), ended).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&StorePath>) -> Result<ListResult> {
        let found = self.look(prefix.cloned(), Depth::One, None).await?;
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

    /// More folders than one thread lists, below a folder that one of them finds; and more files than are handed on at once.
    #[tokio::test]
    async fn a_large_folder_is_listed_whole() {
        let dir = tempfile::tempdir().unwrap();
        let bucket = BucketConfig::filesystem(dir.path()).open().unwrap();
        let mut expected = Vec::new();
        let mut put = |key: String| {
            let path = dir.path().join(&key);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
            expected.push(key);
        };
        for number in 0..3 * super::SHARE {
            put(format!("a/{number}/deep/er/x"));
            put(format!("{number}/x"));
        }
        for number in 0..2 * super::BATCH + 1 {
            put(format!("a/many/{number}"));
        }
        expected.sort_unstable();
        let listed = bucket.list("", None).await.unwrap();
        let keys: Vec<String> = listed.into_iter().map(|o| o.key).collect();
        assert!(keys == expected, "{} of {}", keys.len(), expected.len());
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
        assert_eq!(folders, ["a", "empty", "parquet"]);
    }
}
