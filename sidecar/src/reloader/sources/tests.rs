use std::os::unix::fs::symlink;

use super::*;

/// A configuration that watches these rule folders below `dir`.
fn watching(dir: &Path, rule_dirs: &[&str]) -> ReloaderConfig {
    let rule_dirs = rule_dirs.iter().map(|d| dir.join(d).display().to_string());
    ReloaderConfig {
        rule_dirs: rule_dirs.collect(),
        ..ReloaderConfig::default()
    }
}

fn write(path: PathBuf, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// The fingerprint, where all can be read.
fn print(config: &ReloaderConfig) -> Fingerprint {
    let sources = read(config).unwrap();
    assert!(sources.unread.is_empty(), "{sources:?}");
    sources.fingerprint
}

/// Puts a version of a volume into `dir` and swaps the link to it, as Kubernetes does; the files are named at first.
fn swap(dir: &Path, version: &str, files: &[(&str, &str)]) {
    for (name, text) in files {
        write(dir.join(version).join(name), text);
        let first = name.split('/').next().unwrap();
        if !dir.join(first).try_exists().unwrap() {
            symlink(format!("..data/{first}"), dir.join(first)).unwrap();
        }
    }
    symlink(version, dir.join("..data_tmp")).unwrap();
    let old = fs::read_link(dir.join("..data"));
    fs::rename(dir.join("..data_tmp"), dir.join("..data")).unwrap();
    if let Ok(old) = old {
        fs::remove_dir_all(dir.join(old)).unwrap();
    }
}

#[test]
fn a_swapped_volume_is_a_change_only_where_a_file_differs() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    let rules = dir.join("rules");
    fs::create_dir(&rules).unwrap();
    let config = watching(&dir, &["rules"]);
    swap(&rules, "..1", &[("a.yaml", "a"), ("sub/b.yaml", "b")]);
    let first = read(&config).unwrap();
    // The folder where it lies, the one that holds the link, and those that hold the files.
    let folders = ["", "rules", "rules/..1", "rules/..1/sub"].map(|f| dir.join(f));
    for folder in &folders {
        let folder = folder.components().collect::<PathBuf>();
        assert!(first.folders.contains(&folder), "{folder:?}: {first:?}");
    }
    swap(&rules, "..2", &[("a.yaml", "a"), ("sub/b.yaml", "b")]);
    assert_eq!(print(&config), first.fingerprint, "the same files");
    swap(&rules, "..3", &[("a.yaml", "a"), ("sub/b.yaml", "other")]);
    assert_ne!(print(&config), first.fingerprint, "a file of a folder");
    swap(&rules, "..4", &[("a.yaml", "other"), ("sub/b.yaml", "b")]);
    assert_ne!(print(&config), first.fingerprint, "a file");
    let now = read(&config).unwrap().folders;
    assert!(now.contains(&rules.join("..4/sub")), "{now:?}");
    assert!(!now.contains(&rules.join("..1/sub")), "{now:?}");
}

#[test]
fn each_change_below_a_rule_folder_is_another_fingerprint() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let config = watching(dir, &["rules"]);
    write(dir.join("rules/a.yaml"), "a");
    write(dir.join("rules/deep/er/b.yaml"), "b");
    let mut seen = BTreeSet::from([print(&config)]);
    let changes: [(&str, &dyn Fn()); 7] = [
        ("a new text", &|| write(dir.join("rules/a.yaml"), "aa")),
        ("a new text deep down", &|| {
            write(dir.join("rules/deep/er/b.yaml"), "bb");
        }),
        ("a new file", &|| write(dir.join("rules/c.yaml"), "")),
        ("a new name", &|| {
            fs::rename(dir.join("rules/c.yaml"), dir.join("rules/d.yaml")).unwrap();
        }),
        ("text that moves from file to file", &|| {
            write(dir.join("rules/a.yaml"), "");
            write(dir.join("rules/d.yaml"), "aa");
        }),
        ("a new folder with a file", &|| {
            write(dir.join("rules/new/e.yaml"), "e");
        }),
        ("a file that is gone", &|| {
            fs::remove_file(dir.join("rules/d.yaml")).unwrap();
        }),
    ];
    for (what, change) in changes {
        change();
        assert!(seen.insert(print(&config)), "{what}");
        assert!(!seen.insert(print(&config)), "nothing after {what}");
    }
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_watched() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let config = watching(dir, &["rules"]);
    write(dir.join("rules/a.yaml"), "a");
    symlink("gone.yaml", dir.join("rules/dangling.yaml")).unwrap();
    symlink("../rules", dir.join("rules/loop")).unwrap();
    let sources = read(&config).unwrap();
    let [error] = sources.unread.as_slice() else {
        panic!("{sources:?}");
    };
    let error = error.to_string();
    assert!(
        error.contains("rules/dangling.yaml: No such file"),
        "{error}"
    );
    write(dir.join("rules/a.yaml"), "b");
    let changed = read(&config).unwrap().fingerprint;
    assert_ne!(changed, sources.fingerprint);
    write(dir.join("rules/gone.yaml"), "");
    assert_ne!(print(&config), changed);
}

#[test]
fn a_folder_that_is_not_there_is_an_error_and_a_pattern_without_one_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    let error = read(&watching(&dir, &["rules"])).unwrap_err().to_string();
    assert!(error.contains("rules: No such file"), "{error}");
    let config = watching(&dir, &["prometheus-*-rulefiles-[0-9]"]);
    let none = read(&config).unwrap();
    assert_eq!(none.folders, BTreeSet::from([dir.clone()]));
    write(dir.join("prometheus-k8s-rulefiles-0/a.yaml"), "a");
    let one = read(&config).unwrap();
    assert_ne!(one.fingerprint, none.fingerprint);
    assert!(
        one.folders
            .contains(&dir.join("prometheus-k8s-rulefiles-0"))
    );
    write(dir.join("prometheus-k8s-rulefiles-1/a.yaml"), "a");
    assert_ne!(print(&config), one.fingerprint);
    // A name that only looks like a pattern.
    write(dir.join("rules[1]/a.yaml"), "a");
    let config = watching(&dir, &["rules[1]"]);
    assert!(
        read(&config)
            .unwrap()
            .folders
            .contains(&dir.join("rules[1]"))
    );
}

#[test]
fn a_configuration_is_known_by_its_text_as_prometheus_gets_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("prometheus.yaml");
    let config = |value: fn(&str) -> Option<String>| ReloaderConfig {
        config_file: Some(path.clone()),
        output_file: Some(dir.path().join("out.yaml")),
        variable: value,
        ..ReloaderConfig::default()
    };
    write(path.clone(), "a: $(B)");
    let one = read(&config(|_| Some("1".to_owned()))).unwrap();
    assert_eq!(one.rendered.unwrap().bytes, b"a: 1");
    assert_ne!(print(&config(|_| Some("2".to_owned()))), one.fingerprint);
    write(path.clone(), "a: 1");
    assert_eq!(print(&config(|_| None)), one.fingerprint);
    write(path.clone(), "a: $(B)$(C)");
    let error = read(&config(|_| None)).unwrap_err().to_string();
    let expected = format!(
        "{}: $(B), $(C): no such environment variable is set",
        path.display()
    );
    assert_eq!(error, expected);
    // Without a file for it the text is Prometheus's own business.
    let own = ReloaderConfig {
        output_file: None,
        ..config(|_| None)
    };
    assert!(read(&own).unwrap().rendered.is_none());
}
