//! Blocks that can be merged one by one, and not with one another; and blocks that cannot be merged, although nothing in
//! their files is against the format.

use model::NoCompactMark;

use crate::{
    assert_named, assert_same, failures, made,
    made::{HOUR, MINUTE, Odd, S, minutes},
    made_blocks, marked, merged, served, world_with,
};

const FOO: &[(&str, &str)] = &[("__name__", "foo")];

#[tokio::test]
async fn a_block_with_samples_outside_of_its_window_is_named_and_the_rest_is_merged()
-> anyhow::Result<()> {
    let blocks = [
        // Before the window.
        Odd::new(1, vec![(FOO, vec![minutes(S - 10 * MINUTE, S + 2 * HOUR)])]),
        Odd::new(2, vec![(FOO, vec![minutes(S + 2 * HOUR, S + 4 * HOUR)])]),
        Odd::new(3, vec![(FOO, vec![minutes(S + 4 * HOUR, S + 6 * HOUR)])]),
    ];
    let world = world_with(&blocks).await?;
    let before = served(&world).await?;
    assert_same(&before, &made::answers(&blocks)?);
    let first = assert_named(&world, blocks[0].id(), "lies outside of").await?;
    assert_eq!(merged(&first), 1, "{first:?}");
    assert_eq!(made_blocks(&world), 1);
    assert_eq!(marked(&world).len(), 2);
    assert_same(&served(&world).await?, &before);
    Ok(())
}

/// A block whose index says of a chunk that it ends before it does: alone it is handed on as it is.
fn lying(number: u64) -> Odd<'static> {
    let start = S + (i64::try_from(number).unwrap_or(1) - 1) * 2 * HOUR;
    let chunks = vec![
        minutes(start, start + 90 * MINUTE),
        minutes(start + 20 * MINUTE, start + 2 * HOUR),
    ];
    Odd {
        first_chunk: Some((start, start + 10 * MINUTE)),
        ..Odd::new(number, vec![(FOO, chunks)])
    }
}

#[tokio::test]
async fn two_blocks_that_contradict_one_another_are_both_named_and_the_later_one_is_left()
-> anyhow::Result<()> {
    // It shares a sample with the chunk that says too little, so that chunk is decoded.
    let first = Odd {
        times: (S, S + 2 * HOUR + MINUTE),
        ..Odd::new(1, vec![(FOO, vec![minutes(S, S + 2 * HOUR + MINUTE)])])
    };
    let blocks = [
        first,
        lying(2),
        Odd::new(3, vec![(FOO, vec![minutes(S + 4 * HOUR, S + 6 * HOUR)])]),
        Odd::new(4, vec![(FOO, vec![minutes(S + 6 * HOUR, S + 8 * HOUR)])]),
    ];
    let world = world_with(&blocks).await?;
    let words = "contradict one another: merge: series {__name__=\"foo\"}";
    let run = assert_named(&world, blocks[1].id(), words).await?;
    let failures = failures(&run);
    let other = blocks[0].id().to_string();
    assert!(failures.iter().any(|f| f.contains(&other)), "{failures:#?}");
    let mark = format!("{}/no-compact-mark.json", blocks[1].id());
    let mark = world.s3.object(&mark).unwrap_or_default();
    let mark: NoCompactMark = serde_json::from_slice(&mark)?;
    assert!(mark.details.contains(&other), "{}", mark.details);
    // What is before it and what is behind it.
    assert_eq!(merged(&run), 2, "{run:?}");
    assert_eq!(marked(&world).len(), 3);
    Ok(())
}

/// Numbers that are the same at each run.
struct Drawn(u64);

impl Drawn {
    fn below(&mut self, end: i64) -> i64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let high = i64::try_from(self.0 >> 33).unwrap_or(0);
        high.checked_rem(end).unwrap_or(0)
    }
}

#[tokio::test]
async fn no_group_fails_at_two_runs_running_without_a_block_being_named() -> anyhow::Result<()> {
    for seed in 0..16 {
        let mut drawn = Drawn(seed);
        let mut blocks = Vec::new();
        for number in 1..=4 {
            let start = S + (i64::try_from(number).unwrap_or(1) - 1) * 2 * HOUR;
            // Up to half an hour before and behind, with a gap that chunks do not cross.
            let from = start - drawn.below(31) * MINUTE * drawn.below(2);
            let to = start + 2 * HOUR + drawn.below(31) * MINUTE * drawn.below(2);
            let middle = start + HOUR;
            let chunks = vec![minutes(from, middle), minutes(middle, to)];
            let mut odd = Odd::new(number, vec![(FOO, chunks)]);
            if drawn.below(2) == 1 {
                let min = from + drawn.below(30) * MINUTE;
                odd.first_chunk = Some((min, min + drawn.below(30) * MINUTE));
            }
            if drawn.below(4) == 1 {
                odd.deleted.push((start, start + drawn.below(4) * HOUR));
            }
            blocks.push(odd);
        }
        let world = world_with(&blocks).await?;
        for run in 0..2 {
            for failure in failures(&world.compact().await?) {
                let names = |block: &Odd<'_>| failure.contains(&block.id().to_string());
                assert!(blocks.iter().any(names), "{seed}, run {run}: {failure}");
            }
        }
        let left = world.compact().await?;
        assert_eq!(failures(&left), Vec::<String>::new(), "{seed}");
    }
    Ok(())
}
