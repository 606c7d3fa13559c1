use std::{collections::BTreeMap, sync::Arc};

use bucket::{BlockObjects, BlockView, FileVersion, PartialBlock, Snapshot, UnreadBlock};
use model::{BlockId, BlockMeta, NoCompactMark, NoCompactReason, Timestamp};
use serde_json::{Value, json};

use super::*;
use crate::{
    Contents, Failure, Note, Phase, Planned, PlannedTask, RunningTask, board::State,
    running::Failures,
};

fn id(number: i64) -> BlockId {
    BlockId::new(Timestamp(number), 0)
}

fn view(number: i64, root: &str, labels: &str, more: &str) -> BlockView {
    let block = id(number);
    let json = format!(
        r#"{{"ulid":"{block}","minTime":{number},"maxTime":{},"version":1,"compaction":{{"level":{number},"sources":["{block}"]}},"thanos":{{"labels":{labels},"downsample":{{"resolution":0}},"source":"sidecar"}}{more}}}"#,
        number + 10
    );
    let files = [("index", 7), ("meta.json", 5)].map(|(name, size)| {
        let version = FileVersion {
            size,
            ..FileVersion::default()
        };
        (Arc::from(name), version)
    });
    BlockView {
        objects: Arc::new(BlockObjects {
            id: block,
            root: format!("{root}{block}").into(),
            files: files.into_iter().collect(),
        }),
        meta: Arc::new(BlockMeta::decode(json.as_bytes()).unwrap()),
        deletion_mark: None,
        no_compact_mark: None,
        no_downsample_mark: None,
        unusable_marks: Vec::new(),
    }
}

/// Two TSDB blocks, one of them marked, a Parquet block, and what cannot be read.
fn state() -> State {
    let a = view(1, "", r#"{"cluster":"a"}"#, "");
    let mut b = view(2, "", r#"{"cluster":"b"}"#, "");
    b.no_compact_mark = Some(Arc::new(NoCompactMark {
        reason: NoCompactReason::Manual,
        details: "looked at".to_owned(),
        ..NoCompactMark::default()
    }));
    let parquet = r#","parquet":{"version":1,"shards":[]}"#;
    let c = view(3, "parquet/", r#"{"cluster":"a"}"#, parquet);
    let broken = |number| {
        Arc::new(BlockObjects {
            id: id(number),
            root: id(number).to_string().into(),
            files: a.objects.files.clone(),
        })
    };
    let unread = |objects: Arc<BlockObjects>, meta| UnreadBlock {
        key: objects.key(BlockMeta::FILE),
        objects,
        reason: "get: refused".to_owned(),
        meta,
    };
    let snapshot = Snapshot {
        partial: vec![PartialBlock {
            objects: broken(4),
            reason: "meta.json: not JSON".to_owned(),
        }],
        unread: vec![
            unread(Arc::clone(&b.objects), Some(Arc::clone(&b.meta))),
            unread(broken(5), None),
        ],
        blocks: vec![a, b, c],
    };
    let contents = Contents::of(&snapshot, |view| view.meta.parquet.is_none());
    let task = PlannedTask {
        id: "t".to_owned(),
        text: "merge".to_owned(),
        labels: BTreeMap::new(),
        min: Timestamp(1),
        max: Timestamp(13),
        bytes: 24,
        inputs: vec![id(1), id(3)],
    };
    let note = |word, text: &str| Note {
        word,
        text: text.to_owned(),
    };
    let mut failures = Failures::default();
    failures.so_far(vec![Failure {
        what: "g".to_owned(),
        error: "disk full".to_owned(),
        at: Timestamp(9),
    }]);
    State {
        contents: Arc::new(contents),
        looked_at: Some(Timestamp(1_000)),
        listed_at: Some(Timestamp(1_000)),
        plan: Some(Arc::new(Planned {
            at: Timestamp(1_000),
            notes: BTreeMap::from([
                (id(1), note("merge", "planned: merge")),
                (id(2), note("no-compact", "marked")),
                (id(3), note("merge", "planned: merge")),
            ]),
            tasks: vec![task.clone()],
            json: Arc::new(|| Ok(br#"{"tasks":[]}"#.to_vec())),
        })),
        running: BTreeMap::from([("t".to_owned(), RunningTask::new(task, Timestamp(8)))]),
        failures,
        ..State::default()
    }
}

fn written(write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> Value {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn the_blocks_are_told_in_the_json_of_thanos() {
    let mut state = state();
    let of = |state: &State, view| written(|out| blocks(state, view, "cluster", out));
    let all = of(&state, View::Global);
    assert_eq!(all["status"], "success");
    assert_eq!(all["data"]["label"], "cluster");
    assert_eq!(all["data"]["refreshedAt"], "1970-01-01T00:00:01Z");
    assert_eq!(all["data"]["err"], Value::Null);
    assert_eq!(all["data"]["blocks"][2]["ulid"], json!(id(3)));
    assert_eq!(all["data"]["blocks"][1]["thanos"]["labels"]["cluster"], "b");
    let loaded = of(&state, View::Loaded);
    assert_eq!(loaded["data"]["blocks"].as_array().unwrap().len(), 2);
    state.error = Some("access denied".to_owned());
    assert_eq!(of(&state, View::Global)["data"]["err"], "access denied");
    let nothing = of(&State::default(), View::Global);
    assert_eq!(nothing["data"]["refreshedAt"], "0001-01-01T00:00:00Z");
    assert_eq!(nothing["data"]["blocks"], json!([]));
}

#[test]
fn the_timeline_has_each_block_once_and_names_what_it_cannot_show() {
    let state = state();
    let line = serde_json::to_value(Timeline::new(&state, "v")).unwrap();
    let roots = [
        id(1).to_string(),
        id(2).to_string(),
        format!("parquet/{}", id(3)),
    ];
    assert_eq!(line["root"], json!(roots));
    assert_eq!(line["groups"], json!([{"cluster": "a"}, {"cluster": "b"}]));
    assert_eq!(line["group"], json!([0, 1, 0]));
    assert_eq!(
        (&line["min"], &line["max"]),
        (&json!([1, 2, 3]), &json!([11, 12, 13]))
    );
    assert_eq!(line["bytes"], json!([12, 12, 12]));
    // Loaded; loaded, not to be compacted, unread; Parquet.
    assert_eq!(line["flags"], json!([2, 2 + 8 + 64, 1]));
    assert_eq!(line["words"], json!(["", "merge", "no-compact"]));
    assert_eq!(line["word"], json!([1, 2, 1]));
    assert_eq!(line["tasks"][0]["blocks"], json!([0, 2]));
    let faults: Vec<_> = line["broken"].as_array().unwrap().iter().collect();
    assert_eq!(faults.len(), 2);
    assert_eq!(
        (&faults[0]["fault"], &faults[0]["root"]),
        (&json!("damaged"), &json!(id(4)))
    );
    assert_eq!(
        (&faults[1]["fault"], &faults[1]["root"]),
        (&json!("unread"), &json!(id(5)))
    );
}

#[test]
fn a_block_comes_with_its_marks_what_is_planned_and_what_runs() {
    let state = state();
    let of = |root: &str| {
        let block = state.contents.get(root).unwrap();
        serde_json::to_value(BlockDetails::new(block, &state)).unwrap()
    };
    let marked = of(&id(2).to_string());
    assert_eq!(marked["noCompactMark"]["details"], "looked at");
    assert_eq!(marked["unread"], "get: refused");
    assert_eq!(marked["plan"]["text"], "marked");
    assert_eq!(marked["running"], Value::Null);
    let merged = of(&format!("parquet/{}", id(3)));
    assert_eq!(merged["files"][0], json!({"name": "index", "bytes": 7}));
    assert_eq!(
        merged["running"],
        json!({"task": "t", "phase": Phase::Fetching})
    );
    assert!(state.contents.get("elsewhere").is_none());
}

#[test]
fn the_plan_comes_with_what_runs_and_what_failed() {
    let state = state();
    let planned = state.plan.clone().unwrap();
    let told = written(|out| plan(&state, &planned, out));
    assert_eq!(told["data"]["plannedAt"], "1970-01-01T00:00:01Z");
    assert_eq!(told["data"]["plan"], json!({"tasks": []}));
    assert_eq!(told["data"]["running"][0]["phase"], "fetching");
    assert_eq!(told["data"]["failed"][0]["error"], "disk full");
}

#[test]
fn what_failed_in_the_last_run_is_shown_until_the_next_one_is_over() {
    let failure = |what: &str, at| Failure {
        what: what.to_owned(),
        error: "refused".to_owned(),
        at: Timestamp(at),
    };
    let mut failures = Failures::default();
    failures.so_far(vec![failure("a", 1), failure("b", 1)]);
    failures.run_ended();
    assert_eq!(failures.all(), [failure("a", 1), failure("b", 1)]);
    failures.so_far(vec![failure("b", 2)]);
    assert_eq!(failures.all(), [failure("a", 1), failure("b", 2)]);
    failures.run_ended();
    assert_eq!(failures.all(), [failure("b", 2)]);
}

#[test]
fn a_timeline_of_a_hundred_thousand_blocks_is_a_few_mebibytes() {
    let mut contents = Contents::default();
    let labels = [r#"{"cluster":"a"}"#, r#"{"cluster":"b","replica":"c"}"#];
    for (labels, number) in labels.into_iter().cycle().zip(1..=100_000) {
        let view = view(number, "", labels, "");
        let snapshot = Snapshot {
            blocks: vec![view],
            ..Snapshot::default()
        };
        contents
            .blocks
            .extend(Contents::of(&snapshot, |_| true).blocks);
    }
    let state = State {
        contents: Arc::new(contents),
        ..State::default()
    };
    let mut plain = 0;
    let mut encode = |out: &mut dyn std::io::Write| {
        let text = serde_json::to_vec(&Success::new(Timeline::new(&state, "v")))?;
        plain = text.len();
        out.write_all(&text)
    };
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encode(&mut gzip).unwrap();
    let zipped = gzip.finish().unwrap().len();
    assert!(plain < 9_000_000 && zipped < 2_500_000, "{plain} {zipped}");
}
