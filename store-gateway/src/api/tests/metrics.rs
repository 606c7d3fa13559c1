//! What the metrics tell of requests.

use bucket::Bucket;
use service::Exposition;

use super::world::{ALL_KINDS, World, everything, id, matcher, put_parquet, put_tsdb, request};
use crate::Config;

/// The value of a series of the metrics.
fn value(text: &str, series: &str) -> f64 {
    let found = text.lines().find_map(|line| line.strip_prefix(series));
    let value = found.unwrap_or_else(|| panic!("no {series} in {text}"));
    value.trim().parse().unwrap()
}

fn of_kind(name: &str, kind: &str) -> String {
    format!("thanos_bucket_store_{name}{{data_type=\"{kind}\",tenant=\"default-tenant\"}}")
}

#[tokio::test]
async fn what_a_request_reads_is_counted_by_the_kind_of_data() {
    let (tsdb, parquet) = (Bucket::in_memory(), Bucket::in_memory());
    put_tsdb(&tsdb, ALL_KINDS, id(1), &[]).await;
    put_parquet(&parquet, id(1), &[]).await;
    for bucket in [tsdb, parquet] {
        let mut world = World::new(&bucket, Config::default()).await;
        let text = world.metrics.encode(Exposition::Prometheus);
        for kind in ["postings", "series", "chunks"] {
            assert_eq!(
                value(&text, &of_kind("series_data_touched_count", kind)),
                0.0
            );
        }
        let series = world.series(everything()).await;
        let chunks: usize = series.iter().map(|one| one.chunks.len()).sum();
        let sent: usize = series
            .iter()
            .flat_map(|one| &one.chunks)
            .map(|(.., bytes)| bytes.len())
            .sum();
        let text = world.metrics.encode(Exposition::Prometheus);
        let sum = |name: &str, kind: &str| value(&text, &of_kind(&format!("{name}_sum"), kind));
        assert_eq!(sum("series_data_touched", "series"), series.len() as f64);
        assert_eq!(sum("series_data_touched", "chunks"), chunks as f64);
        for kind in ["series", "chunks"] {
            for name in [
                "series_data_touched",
                "series_data_size_touched_bytes",
                "series_data_fetched",
                "series_data_size_fetched_bytes",
            ] {
                assert!(sum(name, kind) > 0.0, "{name} {kind} in {text}");
            }
        }
        let of_all = |name: &str| {
            let series = format!("thanos_bucket_store_{name}{{tenant=\"default-tenant\"}}");
            value(&text, &series)
        };
        assert_eq!(of_all("sent_chunk_size_bytes_count"), series.len() as f64);
        assert_eq!(of_all("sent_chunk_size_bytes_sum"), sent as f64);
        assert_eq!(of_all("series_result_series_sum"), series.len() as f64);
        for name in [
            "series_get_all_duration_seconds_count",
            "series_merge_duration_seconds_count",
            "series_blocks_queried_count",
            "postings_size_bytes_count",
        ] {
            assert_eq!(of_all(name), 1.0, "{name}");
        }
        assert!(of_all("chunks_fetch_duration_seconds_count") >= 1.0);
        let loads = "thanos_bucket_store_block_load_duration_seconds_count";
        assert_eq!(value(&text, loads), 1.0);
        // What selects all series needs no search, what selects one does.
        let name = series[0].labels.get("__name__").unwrap();
        let name = String::from_utf8_lossy(name).into_owned();
        world
            .series(request(&[matcher("__name__", "=", &name)]))
            .await;
        let text = world.metrics.encode(Exposition::Prometheus);
        for name in [
            "series_data_touched_sum",
            "series_data_size_touched_bytes_sum",
        ] {
            assert!(value(&text, &of_kind(name, "postings")) > 0.0, "{text}");
        }
    }
}

#[tokio::test]
async fn what_is_in_memory_is_touched_and_not_fetched() {
    let bucket = Bucket::in_memory();
    put_tsdb(&bucket, ALL_KINDS, id(1), &[]).await;
    let mut world = World::new(&bucket, Config::default()).await;
    let fetched = of_kind("series_data_size_fetched_bytes_sum", "series");
    let touched = of_kind("series_data_size_touched_bytes_sum", "series");
    world.series(everything()).await;
    let first = world.metrics.encode(Exposition::Prometheus);
    world.series(everything()).await;
    let second = world.metrics.encode(Exposition::Prometheus);
    assert_eq!(value(&first, &fetched), value(&second, &fetched));
    assert_eq!(2.0 * value(&first, &touched), value(&second, &touched));
    let item = |name: &str| {
        let series = format!(
            "thanos_store_index_cache_{name}{{item_type=\"Series\",tenant=\"default-tenant\"}}"
        );
        value(&second, &series)
    };
    assert!(item("hits_total") >= 1.0, "{second}");
    assert!(item("requests_total") >= item("hits_total"), "{second}");
    let kept = r#"thanos_store_index_cache_items{item_type="Series"}"#;
    assert!(value(&second, kept) >= 1.0, "{second}");
}
