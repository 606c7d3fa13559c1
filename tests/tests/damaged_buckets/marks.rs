//! Marks that say too little, too much or nothing, and what follows from them.

use anyhow::Context as _;
use model::BlockMeta;
use tests::{CapturedLog, SAMPLE, World};

use super::{DAMAGED, all, assert_same, failures, marked, merged, truth_without, world};

const ID: &str = SAMPLE[DAMAGED];

/// The keys of the block's own files.
fn files(world: &World) -> Vec<String> {
    let own = |key: &String| key.starts_with(ID) && !key.ends_with("-mark.json");
    world.s3.keys().into_iter().filter(own).collect()
}

/// Runs the compactor three times, with as much time between as any delay or retention lasts.
async fn thrice(world: &World) -> anyhow::Result<()> {
    let retention = compactor::Retention {
        raw: Some(std::time::Duration::from_hours(40)),
        ..compactor::Retention::default()
    };
    for _ in 0..3 {
        let config = compactor::Config {
            retention,
            downsampling: compactor::Downsampling::Off,
            ..compactor::Config::default()
        };
        world.compact_with(config, world.bucket()?).await?;
        world.clock.advance(1000 * 3_600_000);
    }
    Ok(())
}

#[tokio::test]
async fn an_incomplete_no_compact_mark_is_honoured() -> anyhow::Result<()> {
    for mark in [
        format!(r#"{{"id":"{ID}","version":1,"reason":"manual"}}"#),
        format!(r#"{{"id":"{ID}","version":1,"no_compact_time":5}}"#),
        r#"{"version":1}"#.to_owned(),
        r#"{"id":null,"version":1,"no_compact_time":null,"reason":null,"by":"hand"}"#.to_owned(),
    ] {
        let world = world().await?;
        world
            .s3
            .put(&format!("{ID}/no-compact-mark.json"), mark.clone());
        for _ in 0..3 {
            let summary = world.compact().await?;
            assert_eq!(failures(&summary), Vec::<String>::new(), "{mark}");
        }
        assert!(!marked(&world).contains(&ID.parse()?), "{mark}");
        assert_eq!(marked(&world).len(), 3, "{mark}");
        let gateway = world.gateway().await?;
        assert_same(&all(&gateway).await?.0, &truth_without(&[])?);
        gateway.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn no_mark_that_cannot_be_used_ever_deletes_a_block() -> anyhow::Result<()> {
    let other = SAMPLE[0];
    let marks = [
        ("deletion", String::new()),
        ("deletion", "{".to_owned()),
        ("deletion", "null".to_owned()),
        (
            "deletion",
            format!(r#"{{"id":"{other}","version":1,"deletion_time":1}}"#),
        ),
        (
            "deletion",
            format!(r#"{{"id":"{ID}","version":2,"deletion_time":1}}"#),
        ),
        ("deletion", format!(r#"{{"id":"{ID}","version":1}}"#)),
        ("deletion", r#"{"version":1,"deletion_time":1}"#.to_owned()),
        ("no-compact", String::new()),
        ("no-compact", "\u{0}\u{1}".to_owned()),
        ("no-compact", format!(r#"{{"id":"{ID}","version":9}}"#)),
        ("no-downsample", "[]".to_owned()),
        ("no-downsample", format!(r#"{{"id":"{ID}"}}"#)),
    ];
    for (kind, mark) in marks {
        let world = world().await?;
        let before = files(&world);
        world
            .s3
            .put(&format!("{ID}/{kind}-mark.json"), mark.clone());
        thrice(&world).await?;
        assert_eq!(files(&world), before, "{kind}: {mark}");
        let key = format!("{ID}/deletion-mark.json");
        let is_marked = world.s3.object(&key).is_some();
        assert_eq!(is_marked, kind == "deletion", "{kind}: {mark}");
    }
    Ok(())
}

#[tokio::test]
async fn a_deletion_mark_that_cannot_be_used_hides_no_block() -> anyhow::Result<()> {
    let world = world().await?;
    world.s3.put(&format!("{ID}/deletion-mark.json"), "{");
    world.clock.advance(1000 * 3_600_000);
    let gateway = world.gateway().await?;
    let (found, warnings) = all(&gateway).await?;
    assert_eq!(warnings, Vec::<String>::new());
    assert_same(&found, &truth_without(&[])?);
    gateway.stop().await
}

#[tokio::test]
async fn null_in_a_meta_json_is_absent() -> anyhow::Result<()> {
    let world = world().await?;
    let key = format!("{ID}/{}", BlockMeta::FILE);
    let json = world.s3.object(&key).context("a meta.json")?;
    let mut meta: serde_json::Value = serde_json::from_slice(&json)?;
    for (section, name) in [
        ("compaction", "parents"),
        ("compaction", "hints"),
        ("thanos", "files"),
        ("thanos", "segment_files"),
        ("thanos", "upload_time"),
        ("thanos", "index_stats"),
        ("thanos", "downsample"),
    ] {
        meta[section][name] = serde_json::Value::Null;
    }
    meta["parquet"] = serde_json::Value::Null;
    world.s3.put(&key, meta.to_string());
    let gateway = world.gateway().await?;
    assert_same(&all(&gateway).await?.0, &truth_without(&[])?);
    let summary = world.compact().await?;
    assert_eq!((failures(&summary), merged(&summary)), (Vec::new(), 1));
    gateway.stop().await
}

#[tokio::test]
async fn a_mark_is_logged_with_its_reason_or_without_and_never_with_an_empty_one()
-> anyhow::Result<()> {
    let world = world().await?;
    let key = format!("{ID}/chunks/000001");
    let mut bytes = world.s3.remove(&key).context("the chunks")?.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    world.s3.put(&key, bytes);
    let log = CapturedLog::start_at(tracing::Level::INFO);
    world.compact().await?;
    let lines = log.take();
    let marked = |mark: &str| -> Vec<&String> {
        let has = |line: &&String| line.contains(" marked ") && line.contains(mark);
        lines.iter().filter(has).collect()
    };
    // The sources of what was merged, and the damaged one.
    let (deletions, damaged) = (marked("deletion-mark.json"), marked("no-compact-mark.json"));
    assert_eq!((deletions.len(), damaged.len()), (3, 1), "{lines:#?}");
    assert!(damaged[0].contains(r#"reason="damaged""#), "{damaged:?}");
    for line in deletions {
        assert!(!line.contains(" reason="), "{line}");
        assert!(
            line.contains(" details=") && !line.contains(r#"details="""#),
            "{line}"
        );
    }
    Ok(())
}
