use super::*;

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<_> = entries.map(name).collect();
    names.sort();
    let names = names.into_iter();
    names.map(|name| name.into_string().unwrap()).collect()
}

fn stage(from: &Path, means: Means, object: &Path) -> Staged {
    Staged::new(File::open(from).unwrap(), from, means, object).unwrap()
}

fn are_one(a: &Path, b: &Path) -> bool {
    is_same(&File::open(a).unwrap(), &fs::metadata(b).unwrap()).unwrap()
}

#[test]
fn a_file_is_an_object_once_it_is_published_and_else_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("from");
    fs::write(&from, "new").unwrap();
    for means in [Means::Copy, Means::Link] {
        let folder = tempfile::tempdir_in(dir.path()).unwrap();
        let (folder, object) = (folder.path().join("a/b"), folder.path().join("a/b/object"));
        let staged = stage(&from, means, &object);
        assert_eq!((staged.len, staged.hash), (3, None));
        assert_eq!(names(&folder), ["object#1"]);
        drop(staged);
        assert!(names(&folder).is_empty());

        fs::write(&object, "what was there before").unwrap();
        let (one, other) = (stage(&from, means, &object), stage(&from, means, &object));
        assert_eq!(
            fs::read_to_string(&object).unwrap(),
            "what was there before"
        );
        one.publish().unwrap();
        assert_eq!(fs::read_to_string(&object).unwrap(), "new");
        other.publish().unwrap();
        assert_eq!(names(&folder), ["object"]);
        assert_eq!(are_one(&from, &object), matches!(means, Means::Link));
    }
    assert_eq!(fs::read_to_string(&from).unwrap(), "new");
}

#[test]
fn a_file_that_cannot_be_linked_is_copied_and_hashed() {
    let dir = tempfile::tempdir().unwrap();
    let (file, name) = (dir.path().join("file"), dir.path().join("name"));
    let bytes = vec![7; (3 << 20) + 5];
    fs::write(&file, &bytes).unwrap();
    // Its name is that of a symbolic link, which is another file.
    std::os::unix::fs::symlink(&file, &name).unwrap();
    let object = dir.path().join("a/object");
    let staged = stage(&name, Means::Link, &object);
    assert_eq!(staged.len, bytes.len() as u64);
    assert_eq!(
        staged.hash,
        Some(xxhash_rust::xxh64::xxh64(&bytes, 0)),
        "of what was copied"
    );
    staged.publish().unwrap();
    assert!(!are_one(&file, &object));
    assert_eq!(fs::read(&object).unwrap(), bytes);
    assert_eq!(names(&dir.path().join("a")), ["object"]);
}

#[test]
fn a_name_that_another_upload_took_meanwhile_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("from");
    fs::write(&from, "new").unwrap();
    let object = dir.path().join("a/object");
    let staged = stage(&from, Means::Copy, &object);
    fs::rename(dir.path().join("a/object#1"), &object).unwrap();
    let other = stage(&from, Means::Copy, &object);
    drop(staged);
    other.publish().unwrap();
    assert_eq!(names(&dir.path().join("a")), ["object"]);
}
