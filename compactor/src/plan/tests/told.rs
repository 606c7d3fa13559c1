//! What a task, a plan and an output say of themselves.

use super::*;

#[test]
fn the_output_says_what_it_was_made_of() {
    let drawing = Drawing::new("|AABBEF").sources('A', "ZY").sources('B', "X");
    let task = &drawing.plan().tasks[0];
    assert_eq!(task.range(), TimeRange::new(0, 4 * LETTER - 1));
    assert_eq!(task.id, format!("{}-0-28800000-2-f472801e", task.group));
    let meta = task.meta(Made {
        ulid: id('m'),
        resolution: Resolution::Raw,
        stats: BlockStats::default(),
        index_stats: model::IndexStats::default(),
        parquet: Some(ParquetMeta::default()),
        files: vec![],
        now: NOW,
    });
    assert_eq!(meta.compaction.level, 2);
    assert_eq!(meta.compaction.sources, ['X', 'Y', 'Z'].map(id));
    let parents: Vec<_> = meta.compaction.parents.iter().map(|p| p.ulid).collect();
    assert_eq!(parents, ['A', 'B'].map(id));
    assert_eq!((meta.min_time.0, meta.max_time.0), (0, 4 * LETTER));
    assert_eq!(meta.external_labels(), task.labels);
    assert_eq!(BlockMeta::decode(&meta.encode()).unwrap(), meta);
}

#[test]
fn one_block_that_is_only_downsampled_comes_from_where_it_came_before() {
    let mut days = Drawing::days("|AABBCCDDEEFFGGHHII").plan();
    let mut task = days.tasks.remove(0);
    task.inputs.truncate(1);
    let made = |resolution, parquet: Option<ParquetMeta>| Made {
        ulid: id('m'),
        resolution,
        stats: BlockStats::default(),
        index_stats: model::IndexStats {
            series_max_size: 7,
            chunk_max_size: 9,
        },
        parquet,
        files: ["chunks/000001", "index"]
            .map(|name| model::FileMeta {
                rel_path: name.to_owned(),
                ..model::FileMeta::default()
            })
            .into(),
        now: NOW,
    };
    let own = task.inputs[0].meta.compaction.clone();
    let beside = task.meta(made(Resolution::FiveMinutes, None));
    assert_eq!(beside.compaction.level, own.level + 1);
    task.outputs = vec![Resolution::FiveMinutes];
    let alone = task.meta(made(Resolution::FiveMinutes, None));
    assert_eq!(alone.compaction.level, own.level);
    assert_eq!(alone.compaction.parents, own.parents);
    assert_eq!(alone.resolution(), Resolution::FiveMinutes);
    let thanos = alone.thanos.unwrap();
    assert_eq!(thanos.segment_files, ["000001"]);
    assert_eq!(thanos.index_stats.chunk_max_size, 9);
    let files: Vec<_> = thanos.files.iter().map(|f| &*f.rel_path).collect();
    assert_eq!(files, ["chunks/000001", "index", "meta.json"]);
}

#[test]
fn a_plan_is_told_in_words_and_in_json() {
    let plan = Drawing::new("|AAAABC").plan();
    let text = plan.to_string();
    let merge = "merge 1 block of {cluster=\"eu-1\"} in raw to raw of 1970-01-01T00:00:00Z to 1970-01-01T08:00:00Z in Parquet: 100 B to read, 200 B of disk, 256.0 MiB of memory";
    assert!(text.starts_with(merge), "{text}");
    assert!(text.contains("\n  window 1970-01-01T00:00:00Z to 1970-01-01T08:00:00Z\n"));
    let newest = format!("leave {}: the newest block of its group\n", id('C'));
    assert!(text.contains(&newest), "{text}");
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!(json["tasks"][0]["inputs"][0]["ulid"], id('A').to_string());
    assert_eq!(json["tasks"][0]["labels"]["cluster"], "eu-1");
    assert_eq!(json["tasks"][0]["memory_bytes"], 256 << 20);
    assert_eq!(json["tasks"][0]["outputs"], serde_json::json!([0]));
    assert_eq!(json["tasks"][0]["dedup"], "exact");
    assert_eq!(json["tasks"][0]["format"], "parquet");
    assert_eq!(json["left"][0]["reason"], "window-open");
    assert_eq!(json["left"][0]["window"]["start"], 8 * HOUR);
}

#[test]
fn a_plan_lists_all_outputs_of_a_downsampling() {
    let days = Drawing::days("|AABBCCDDEEFFGGHHII").plan();
    let text = days.to_string();
    let merge = "merge 7 blocks of {cluster=\"eu-1\"} in raw to raw and 5m and 1h of 1970-01-01T00:00:00Z to 1970-01-15T00:00:00Z in Parquet: 700 B to read, 2.2 KiB of disk, 256.0 MiB of memory";
    assert!(text.starts_with(merge), "{text}");
    let newest = "downsample 1 block of {cluster=\"eu-1\"} in raw to 5m of 1970-01-17";
    assert!(text.contains(newest), "{text}");
    let json = serde_json::to_value(&days).unwrap();
    let outputs = serde_json::json!([0, 300_000, 3_600_000]);
    assert_eq!(json["tasks"][0]["outputs"], outputs);
}

#[test]
fn tasks_of_other_inputs_and_outputs_have_other_names() {
    let ids = |drawing: &Drawing| {
        let plan = drawing.plan();
        plan.tasks.iter().map(|t| t.id.clone()).collect::<Vec<_>>()
    };
    let one = ids(&Drawing::new("|ABCDEF"));
    assert_eq!(one, ids(&Drawing::new("|ABCDEF")));
    // As many blocks of the same times.
    assert_ne!(one, ids(&Drawing::new("|ABCXEF")));
    let two_days = "|AAAAAAAAAAAAAAAAAAAAAAAABC";
    let both = ids(&Drawing::new(two_days));
    assert!(both[0].ends_with("-raw-5m"), "{both:?}");
    let merged = ids(&Drawing::new(two_days).no_downsample('A'));
    assert_eq!(both[0].strip_suffix("-raw-5m"), Some(merged[0].as_str()));
}

#[test]
fn the_disk_holds_the_inputs_and_each_output() {
    let task = |drawing: Drawing, output| {
        let options = PlanOptions {
            output,
            ..PlanOptions::new(NOW)
        };
        plan(&drawing.blocks(), &options).tasks.remove(0)
    };
    let disk = |drawing, output| task(Drawing::days(drawing), output).disk_bytes;
    assert_eq!(
        disk("|AABBCCDDEEFFGGHHII", OutputFormat::Parquet),
        700 * 3 + 700 / 4
    );
    // TSDB needs more room than the Parquet that it is made of.
    assert_eq!(
        disk("|aabbccddeeffgghhii", OutputFormat::Tsdb),
        700 + 2 * 2100 + 2100 / 4
    );
}
