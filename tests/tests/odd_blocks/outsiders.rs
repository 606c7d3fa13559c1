//! Chunks that reach past the times of their block, and samples that neighbours share.

use tests::Answer;

use crate::{
    assert_merged, assert_same, made,
    made::{HOUR, MINUTE, Odd, S, minutes},
    made_blocks, served, world_of, world_with,
};

const FOO: &[(&str, &str)] = &[("__name__", "foo")];

/// The blocks become one, with all their samples.
async fn assert_one(blocks: &[Odd<'_>], expected: &Answer) -> anyhow::Result<()> {
    let world = world_with(blocks).await?;
    assert_merged(&world).await?;
    assert_eq!(made_blocks(&world), 1);
    assert_same(&served(&world).await?, expected);
    Ok(())
}

#[tokio::test]
async fn a_chunk_behind_its_block_shares_a_sample_with_the_next_one() -> anyhow::Result<()> {
    let world = world_of("outsider-chunk").await?;
    let before = served(&world).await?;
    assert_eq!(before.samples(), 240);
    assert_merged(&world).await?;
    assert_eq!(made_blocks(&world), 1);
    assert_same(&served(&world).await?, &before);
    Ok(())
}

#[tokio::test]
async fn chunks_before_and_behind_their_blocks_share_many_samples_with_their_neighbours()
-> anyhow::Result<()> {
    let blocks = [
        Odd::new(
            1,
            vec![(
                FOO,
                vec![
                    minutes(S, S + HOUR),
                    minutes(S + HOUR, S + 2 * HOUR + 30 * MINUTE),
                ],
            )],
        ),
        Odd::new(
            2,
            vec![(FOO, vec![minutes(S + 2 * HOUR - 20 * MINUTE, S + 4 * HOUR)])],
        ),
        // All of its samples are in the neighbours, which have others as well.
        Odd::new(3, vec![(FOO, vec![minutes(S + 3 * HOUR, S + 4 * HOUR)])]),
        Odd::new(
            4,
            vec![(FOO, vec![minutes(S + 5 * HOUR, S + 6 * HOUR + MINUTE)])],
        ),
    ];
    assert_one(&blocks, &made::answers(&blocks)?).await
}

#[tokio::test]
async fn of_two_values_at_one_time_the_earlier_blocks_counts() -> anyhow::Result<()> {
    let mut second = minutes(S + 2 * HOUR, S + 4 * HOUR);
    let first = vec![(S, 1.0), (S + 2 * HOUR, 2.0), (S + 2 * HOUR + MINUTE, 3.0)];
    let blocks = |second: Vec<(i64, f64)>| {
        [
            Odd::new(1, vec![(FOO, vec![first.clone()])]),
            Odd::new(2, vec![(FOO, vec![second])]),
        ]
    };
    let odd = blocks(second.clone());
    second[0].1 = 2.0;
    second[1].1 = 3.0;
    assert_one(&odd, &made::answers(&blocks(second))?).await
}
