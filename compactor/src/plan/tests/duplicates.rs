//! Blocks whose samples another block holds, on drawings.

use super::*;

#[test]
fn sources_of_a_parquet_block_are_marked_and_not_merged_again() {
    let drawing = Drawing::new("|ABCDEF\n|aaaa").sources('a', "ABCD");
    assert_eq!(
        drawing.outcome(),
        "cover A by a; cover B by a; cover C by a; cover D by a; newest F; window-open aE"
    );
    let mark = drawing.plan().covered[0].by.to_string();
    assert_eq!(
        mark,
        format!("source of compacted block parquet/{}", id('a'))
    );
}

#[test]
fn of_blocks_with_the_same_sources_one_stays() {
    let twice = Drawing::new("|ABCDEF\n| Z").sources('Z', "B");
    assert_eq!(
        twice.outcome(),
        "merge ABCD; cover Z by B; newest F; window-open E"
    );
    // Two compactors made the same block: the older stays.
    let parquet = Drawing::new("|aaaaEF\n|bbbb").sources('a', "ABCD");
    let parquet = parquet.sources('b', "ABCD");
    assert_eq!(parquet.outcome(), "cover b by a; newest F; window-open aE");
    // A TSDB block of more sources replaces Parquet, so that nothing is held twice.
    let larger = Drawing::new("|AAAAAAAAEFGHIJ\n|bbbb").sources('A', "WXYZ");
    let larger = larger.sources('b', "WX");
    let expected = "merge EFGH; cover b by A; newest J; window-open AI";
    assert_eq!(larger.outcome(), expected);
}

#[test]
fn a_block_that_names_no_source_is_its_own() {
    let none = Drawing::new("|ABCDEF").sources('A', "").sources('B', "");
    assert_eq!(none.outcome(), "merge ABCD; newest F; window-open E");
}
