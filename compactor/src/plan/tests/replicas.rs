//! Blocks of replicas, on drawings.

use super::*;
use crate::Dedup;

fn options(dedup: Dedup) -> PlanOptions {
    PlanOptions {
        replicas: Replicas::new(["replica".to_owned()], dedup).unwrap(),
        ..PlanOptions::new(NOW)
    }
}

/// Small letters are of another replica than capitals.
fn drawing(lines: &str) -> Drawing {
    let drawing = Drawing::new(lines);
    let names: Vec<char> = drawing.0.keys().copied().collect();
    names.into_iter().fold(drawing, |drawing, name| {
        let replica = if name.is_lowercase() { "b" } else { "a" };
        let drawing = drawing.label(&name.to_string(), "replica", replica);
        drawing.edit(name, |m| m.parquet = None)
    })
}

#[test]
fn replicas_become_one() {
    let lines = "|ABCDEF\n|abcdef";
    assert_eq!(
        drawing(lines).outcome(),
        "merge ABCD; merge abcd; newest Ff; window-open Ee"
    );
    let replicas = drawing(lines);
    assert_eq!(
        replicas.outcome_of(&options(Dedup::Exact)),
        "merge AaBbCcDd; newest f; window-open EeF"
    );
    let task = |dedup| plan(&replicas.blocks(), &options(dedup)).tasks.remove(0);
    let exact = task(Dedup::Exact);
    assert_eq!((exact.dedup, exact.is_vertical()), (Dedup::Exact, true));
    assert_eq!(exact.labels.to_string(), r#"{cluster="eu-1"}"#);
    let penalty = task(Dedup::Penalty);
    assert_eq!(penalty.dedup, Dedup::Penalty);
    assert!(
        penalty
            .to_string()
            .contains("following one replica at a time")
    );
    // The same whether a replica is there or has long been merged.
    assert_eq!(penalty.group, task(Dedup::Exact).group);
}

#[test]
fn a_merged_block_covers_the_blocks_of_all_replicas() {
    let lines = "|AAAAEF\n|aaaaef\n|ZZZZ";
    let merged = drawing(lines).sources('Z', "Aa").edit('Z', |m| {
        m.thanos.as_mut().unwrap().labels.remove("replica");
        m.parquet = Some(ParquetMeta::default());
    });
    assert_eq!(
        merged.outcome_of(&options(Dedup::Exact)),
        "cover A by Z; cover a by Z; newest f; window-open ZEeF"
    );
}

#[test]
fn rules_and_shards_see_no_replica() {
    let lines = "|ABCDEF\n|abcdef";
    let mut options = options(Dedup::Exact);
    let keep = "[{action: keep, source_labels: [replica], regex: a}]";
    options.filter = BlockFilter::from_yaml(keep).unwrap();
    assert_eq!(
        drawing(lines).outcome_of(&options),
        "not-selected ABCDEFabcdef"
    );
    options.filter = BlockFilter::default();
    options.shard = Shard::new(0, 2).unwrap();
    let first = drawing(lines).outcome_of(&options);
    options.shard = Shard::new(1, 2).unwrap();
    let second = drawing(lines).outcome_of(&options);
    let all = "merge AaBbCcDd; newest f; window-open EeF";
    let none = "other-shard ABCDEFabcdef";
    let mut both = [first, second];
    both.sort();
    assert_eq!(both, [all, none]);
}

#[test]
fn blocks_of_replicas_without_any_other_label_are_one_group_too() {
    let blocks = drawing("|ABCDEF\n|abcdef");
    let names: Vec<char> = blocks.0.keys().copied().collect();
    let bare = names.into_iter().fold(blocks, |drawing, name| {
        drawing.edit(name, |m| {
            m.thanos.as_mut().unwrap().labels.remove("cluster");
        })
    });
    let plan = plan(&bare.blocks(), &options(Dedup::Exact));
    assert_eq!(plan.tasks.len(), 1, "{plan}");
    assert_eq!(plan.tasks[0].labels.to_string(), r#"{replica="deduped"}"#);
}

#[test]
fn blocks_downsampled_from_each_replica_are_made_once_more_from_both() {
    let two_days = |name: &str| name.repeat(24);
    let lines = |parts: [&str; 2]| {
        format!(
            " |{}\n |{}\n5|{}\n5|{}",
            two_days("A") + "EF",
            two_days("a"),
            two_days(parts[0]),
            two_days(parts[1])
        )
    };
    let of_each = drawing(&lines(["X", "x"]))
        .sources('X', "A")
        .sources('x', "a");
    assert_eq!(
        of_each.outcome_of(&options(Dedup::Exact)),
        "merge Aa to raw+5m; newest F; waits-for-task Xx; window-open E"
    );
    // But not where blocks would stay that overlap what is made.
    let more = of_each.sources('X', "AW");
    assert_eq!(
        more.outcome_of(&options(Dedup::Exact)),
        "merge Aa; downsample-vertical-compaction X; newest Fx; window-open E"
    );
}
