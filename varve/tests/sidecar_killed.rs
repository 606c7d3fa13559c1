//! `varve sidecar`, killed by SIGKILL at each request that writes to its bucket: the next run uploads what is missing,
//! and nothing twice.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use parking_lot::Mutex;
use serde_json::Value;

/// What there is to upload, three files each.
const BLOCKS: usize = 2;
const WRITES: usize = 3 * BLOCKS;

/// What the server does about the write at which the program is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// It is lost.
    No,
    /// It is done, and nobody hears of it.
    Yes,
}

/// An S3 server as far as uploads need one.
#[derive(Default)]
struct Bucket {
    objects: BTreeMap<String, Vec<u8>>,
    /// The keys of all writes, in order.
    writes: Vec<String>,
    /// The write that gets no answer, what becomes of it, and who is told when it comes.
    silent: Option<(usize, Kept, mpsc::Sender<()>)>,
}

type Shared = Arc<Mutex<Bucket>>;

fn serve(stream: TcpStream, bucket: &Shared) -> anyhow::Result<()> {
    let mut out = stream.try_clone()?;
    let mut lines = BufReader::new(stream);
    loop {
        let mut head = String::new();
        loop {
            if lines.read_line(&mut head)? == 0 {
                return Ok(());
            }
            if head.ends_with("\r\n\r\n") {
                break;
            }
        }
        let mut words = head.split(' ');
        let method = words.next().context("a method")?.to_owned();
        let path = words.next().context("a path")?;
        let key = path.strip_prefix("/test/").context("a key")?.to_owned();
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            (name.eq_ignore_ascii_case("content-length")).then(|| value.parse().ok())?
        });
        let mut body = vec![0; length.unwrap_or(0)];
        lines.read_exact(&mut body)?;
        let answer = match method.as_str() {
            "PUT" => put(bucket, key, body),
            _ => Some(match bucket.lock().objects.get(&key) {
                Some(object) => format!("200 OK\r\nContent-Length: {}", object.len()),
                None => "404 Not Found\r\nContent-Length: 0".to_owned(),
            }),
        };
        let Some(answer) = answer else {
            // Until the client is gone.
            let _ = lines.read_to_end(&mut Vec::new());
            return Ok(());
        };
        write!(
            out,
            "HTTP/1.1 {answer}\r\nETag: \"1\"\r\nLast-Modified: Sat, 22 Aug 2026 10:00:00 GMT\r\n\r\n"
        )?;
    }
}

/// Writes an object; gives what to answer, if anything.
fn put(bucket: &Shared, key: String, body: Vec<u8>) -> Option<String> {
    let mut bucket = bucket.lock();
    let number = bucket.writes.len();
    let silent = match &bucket.silent {
        Some((at, kept, told)) if *at == number => Some((*kept, told.clone())),
        _ => None,
    };
    if !matches!(silent, Some((Kept::No, _))) {
        bucket.objects.insert(key.clone(), body);
        bucket.writes.push(key);
    }
    match silent {
        Some((_, told)) => {
            bucket.silent = None;
            let _ = told.send(());
            None
        }
        None => Some("200 OK\r\nContent-Length: 0".to_owned()),
    }
}

/// A folder of blocks, and a bucket for them.
struct World {
    dir: tempfile::TempDir,
    bucket: Shared,
    port: u16,
}

impl World {
    fn new() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/sample");
        let mut blocks: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(sample)? {
            let path = entry?.path();
            if path.join("meta.json").is_file() {
                blocks.push(path);
            }
        }
        blocks.sort_unstable();
        for block in blocks.iter().take(BLOCKS) {
            let to = dir.path().join(block.file_name().context("a name")?);
            fs::create_dir_all(to.join("chunks"))?;
            for file in ["chunks/000001", "index", "meta.json"] {
                fs::copy(block.join(file), to.join(file))?;
            }
        }
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let bucket = Shared::default();
        let server = Arc::clone(&bucket);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let bucket = Arc::clone(&server);
                thread::spawn(move || serve(stream, &bucket));
            }
        });
        Ok(Self { dir, bucket, port })
    }

    fn upload(&self) -> anyhow::Result<Child> {
        let objstore = format!(
            "{{type: S3, config: {{bucket: test, endpoint: \"127.0.0.1:{}\", region: eu, insecure: true, \
             access_key: a, secret_key: b, bucket_lookup_type: path}}}}",
            self.port
        );
        let child = Command::new(env!("CARGO_BIN_EXE_varve"))
            .args([
                "sidecar",
                "--once",
                "--label=cluster=\"eu\"",
                "--http-address=127.0.0.1:0",
            ])
            .args(["--tsdb.path", &self.dir.path().display().to_string()])
            .args(["--objstore.config", &objstore])
            .stderr(Stdio::piped())
            .spawn()?;
        Ok(child)
    }

    /// Sees that the bucket and the folder are as after an upload without a fault.
    fn check(&self) -> anyhow::Result<()> {
        let bucket = self.bucket.lock();
        let mut metas = 0;
        for (key, json) in bucket
            .objects
            .iter()
            .filter(|(key, _)| key.ends_with("/meta.json"))
        {
            metas += 1;
            let writes = bucket.writes.iter().filter(|write| *write == key).count();
            ensure!(writes == 1, "{key} was written {writes} times");
            let meta: Value = serde_json::from_slice(json)?;
            let files = meta
                .pointer("/thanos/files")
                .and_then(|files| files.as_array())
                .context("files")?;
            let root = key.trim_end_matches("meta.json");
            for file in files.iter().filter(|file| file["rel_path"] != "meta.json") {
                let key = format!("{root}{}", file["rel_path"].as_str().context("a path")?);
                let found = bucket.objects.get(&key).map(|object| object.len() as u64);
                ensure!(
                    found == file["size_bytes"].as_u64(),
                    "{key}: {found:?}, {file}"
                );
            }
        }
        ensure!(metas == BLOCKS, "{metas} blocks: {:?}", bucket.writes);
        let noted = fs::read_to_string(self.dir.path().join("thanos.shipper.json"))?;
        ensure!(noted.matches("01").count() >= BLOCKS, "{noted}");
        let staged = fs::read_dir(self.dir.path().join("thanos/upload"))?.count();
        ensure!(staged == 0, "{staged} folders are left");
        Ok(())
    }
}

#[test]
fn a_sidecar_that_is_killed_at_any_write_leaves_nothing_behind_and_sends_no_block_twice()
-> anyhow::Result<()> {
    for kept in [Kept::No, Kept::Yes] {
        for write in 0..WRITES {
            let at = || format!("write {write}, kept: {kept:?}");
            let world = World::new()?;
            let (told, comes) = mpsc::channel();
            world.bucket.lock().silent = Some((write, kept, told));
            let mut child = world.upload()?;
            comes
                .recv_timeout(Duration::from_mins(1))
                .with_context(at)?;
            // SIGKILL.
            child.kill()?;
            child.wait()?;
            let out = world.upload()?.wait_with_output()?;
            let said = String::from_utf8_lossy(&out.stderr);
            ensure!(out.status.success(), "{}: {said}", at());
            world.check().with_context(at)?;
        }
    }
    Ok(())
}
