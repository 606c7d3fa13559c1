//! A block whose mark says less than Thanos writes.

use crate::{assert_same, failures, made_blocks, marked, merged, served, three_runs, world_of};

#[tokio::test]
async fn a_no_compact_mark_without_a_time_leaves_its_block_alone() -> anyhow::Result<()> {
    let world = world_of("no-compact-mark-without-time").await?;
    let block = "01HFXJ00000000000000000002";
    let own = || -> Vec<_> {
        let keys = world.s3.keys().into_iter();
        let own = keys.filter(|key| key.starts_with(block));
        own.map(|key| (world.s3.object(&key), key)).collect()
    };
    let (before, all) = (own(), served(&world).await?);
    let [first, ..] = three_runs(&world).await?;
    assert_eq!(failures(&first), Vec::<String>::new());
    // The two others of its time.
    assert_eq!(merged(&first), 1, "{first:?}");
    assert_eq!(made_blocks(&world), 1);
    let others = ["01HFXJ00000000000000000001", "01HFXJ00000000000000000003"];
    assert_eq!(marked(&world), others);
    assert_eq!(own(), before);
    assert_same(&served(&world).await?, &all);
    Ok(())
}
