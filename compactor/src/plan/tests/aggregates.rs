//! What is merged of blocks of aggregates, on drawings.

use super::*;

#[test]
fn aggregates_are_merged_in_groups_of_their_own() {
    for (name, drawing, outcome) in [
        (
            "as raw blocks are",
            "5|ABCDEF",
            "merge ABCD; newest F; window-open E",
        ),
        (
            "even alone, so that they become Parquet",
            "5|AAAABC",
            "merge A; newest C; window-open B",
        ),
        (
            "Parquet and TSDB become one",
            "5|aaBBCD",
            "merge aB; newest D; window-open C",
        ),
        (
            "not with raw blocks",
            " |A C\n5| B D",
            "newest CD; window-open AB",
        ),
        (
            "not with coarser ones",
            "5|A C\n1| B D",
            "newest CD; window-open AB",
        ),
        (
            "overlapping ones are left, and part a window",
            "5|ABCDEF\n5| X",
            "merge A; merge CD; downsample-vertical-compaction BX; newest F; window-open E",
        ),
    ] {
        assert_eq!(Drawing::new(drawing).outcome(), outcome, "{name}");
    }
}

#[test]
fn of_overlapping_aggregates_one_that_has_all_sources_stays() {
    let drawing = Drawing::new("5|aaaaEF\n5| X").sources('a', "XYZ");
    assert_eq!(drawing.outcome(), "cover X by a; newest F; window-open aE");
}

#[test]
fn blocks_of_5m_become_1h_where_they_are_long_enough() {
    for (name, drawing, outcome) in [
        (
            "in the pass that merges them",
            "5|AABBCCDDEEFFGGHHII",
            "merge ABCDEFG to 5m+1h; merge H; newest I",
        ),
        (
            "on its own in the pass that makes it Parquet",
            "5|AAAAAAAAAAAAAABBCC",
            "merge A to 5m+1h; merge B; newest C",
        ),
        (
            "as its own task, where it is Parquet already",
            "5|aaaaaaaaaaaaaaBBCC",
            "downsample a to 1h; merge B; newest C",
        ),
        (
            "not if it is shorter than ten days",
            "5|     aaaaaaaaaBBCC",
            "merge B; alone a; newest C",
        ),
        (
            "from ten days on",
            "5|    aaaaaaaaaaBBCC",
            "downsample a to 1h; merge B; newest C",
        ),
    ] {
        assert_eq!(Drawing::days(drawing).outcome(), outcome, "{name}");
    }
    let covered = Drawing::days("5|aaaaaaaaaaaaaaBBCC\n1|hhhhhhhhhhhhhh").sources('h', "a");
    assert_eq!(covered.outcome(), "merge B; alone a; newest Ch");
}

#[test]
fn overlapping_aggregates_are_downsampled_one_by_one() {
    let drawing = Drawing::days("5|aaaaaaaaaaaaaaBBCC\n5|xxxxxxxxxxxxxx");
    assert_eq!(
        drawing.outcome(),
        "downsample a to 1h; downsample x to 1h; merge B; newest C"
    );
    let done =
        Drawing::days("5|aaaaaaaaaaaaaaBBCC\n5|xxxxxxxxxxxxxx\n1|hhhhhhhhhhhhhh\n1|iiiiiiiiiiiiii");
    let done = done.sources('h', "a").sources('i', "x");
    assert_eq!(
        done.outcome(),
        "merge B; downsample-vertical-compaction axh; newest Ci"
    );
}
