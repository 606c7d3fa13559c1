//! What is read of a `meta.json`, and what is wrong with one.

use super::*;

const ID: &str = "01HF8J5JG0RAVB4GMS32W7ZJ2B";

const FROM_THANOS: &str = r#"{
	"ulid": "01HF8J5JG0RAVB4GMS32W7ZJ2B",
	"minTime": 1700006400000,
	"maxTime": 1700013600000,
	"stats": {
		"numSamples": 24000,
		"numSeries": 200,
		"numChunks": 200
	},
	"compaction": {
		"level": 1,
		"sources": [
			"01HF8J5JG0RAVB4GMS32W7ZJ2B"
		],
		"later": true
	},
	"version": 1,
	"thanos": {
		"version": 1,
		"labels": {
			"cluster": "eu-1"
		},
		"downsample": {
			"resolution": 300000
		},
		"source": "sidecar",
		"files": [
			{
				"rel_path": "index",
				"size_bytes": 456,
				"hash": {
					"hashFunc": "SHA256",
					"value": "00"
				}
			}
		],
		"index_stats": {},
		"upload_time": "2026-08-22T10:00:00Z",
		"extensions": {
			"any": "json"
		}
	},
	"unknown": [
		1
	]
}
"#;

#[test]
fn unknown_fields_are_written_back() {
    let meta = BlockMeta::decode(FROM_THANOS.as_bytes()).unwrap();
    assert_eq!(meta.resolution(), Resolution::FiveMinutes);
    assert_eq!(meta.external_labels().get("cluster"), Some(&b"eu-1"[..]));
    assert_eq!(
        meta.time_range(),
        TimeRange::new(1_700_006_400_000, 1_700_013_599_999)
    );
    assert_eq!(String::from_utf8(meta.encode()).unwrap(), FROM_THANOS);
}

#[test]
fn another_version_is_an_error_that_names_it() {
    let other = FROM_THANOS.replacen(
        "\"version\": 1,\n\t\"thanos\"",
        "\"version\": 2,\n\t\"thanos\"",
        1,
    );
    let error = BlockMeta::decode(other.as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "version: expected 1, found 2");
}

#[test]
fn a_number_of_an_unknown_field_is_written_back_as_it_was_read() {
    let json = br#"{"ulid": "01HF8J5JG0RAVB4GMS32W7ZJ2B", "minTime": 0, "maxTime": 1, "version": 1,
            "unknown": 1.1111111111111109e104}"#;
    let text = String::from_utf8(BlockMeta::decode(json).unwrap().encode()).unwrap();
    assert!(text.contains("1.1111111111111109e+104"), "{text}");
}

fn decode(rest: &str) -> Result<BlockMeta, MetaError> {
    let json = format!(r#"{{"ulid":"{ID}","minTime":0,"maxTime":1,"version":1{rest}}}"#);
    BlockMeta::decode(json.as_bytes())
}

#[test]
fn null_is_absent_wherever_it_stands() {
    let absent = decode(
        r#","compaction":{"level":2,"sources":["01HF8J5JG0RAVB4GMS32W7ZJ2B"]},"thanos":{"labels":{"a":"b"}}"#,
    )
    .unwrap();
    let null = decode(
        r#","parquet":null,"stats":{"numSamples":null,"numFloatSamples":null,"numHistogramSamples":null,
        "numSeries":null,"numChunks":null,"numTombstones":null},
        "compaction":{"level":2,"sources":[null,"01HF8J5JG0RAVB4GMS32W7ZJ2B",null],"deletable":null,"parents":null,
            "failed":null,"hints":[null]},
        "thanos":{"version":null,"labels":{"a":"b"},"downsample":{"resolution":null},"source":null,
            "segment_files":[null],"files":[null],"index_stats":{"series_max_size":null,"chunk_max_size":null},
            "upload_time":null}"#,
    )
    .unwrap();
    assert_eq!(null, absent);
    let null = decode(
        r#","stats":null,"compaction":{"level":2,"sources":["01HF8J5JG0RAVB4GMS32W7ZJ2B"],"parents":[null],"hints":null},
        "thanos":{"labels":{"a":"b"},"downsample":null,"segment_files":null,"files":null,"index_stats":null}"#,
    )
    .unwrap();
    assert_eq!(null, absent);
    let none = decode("").unwrap();
    assert_eq!(
        decode(r#","stats":null,"compaction":null,"thanos":null"#).unwrap(),
        none
    );
    assert_eq!(
        decode(r#","compaction":{"level":null,"sources":null}"#).unwrap(),
        none
    );
    let labels = decode(r#","thanos":{"labels":null}"#).unwrap();
    assert_eq!(labels.external_labels(), Labels::default());
    let labels = decode(r#","thanos":{"labels":{"a":null,"b":"c"}}"#).unwrap();
    assert_eq!(labels.external_labels().get("b"), Some(&b"c"[..]));
    assert_eq!(labels.external_labels().get("a"), None);
    let nested = decode(
        r#","compaction":{"parents":[{"ulid":null,"minTime":null,"maxTime":5}]},"thanos":{"files":[{"rel_path":null,"size_bytes":null},{"rel_path":"index","size_bytes":7}]}"#,
    )
    .unwrap();
    assert_eq!(nested.compaction.parents[0].max_time.0, 5);
    assert_eq!(nested.thanos.unwrap().files[1].size_bytes, 7);
}

#[test]
fn names_are_read_in_any_case_and_of_two_the_last_counts() {
    let meta = decode(
        r#","Thanos":{"Labels":{"a":"b"},"downsample":{"Resolution":300000,"later":1}},"maxTime":9"#,
    )
    .unwrap();
    assert_eq!(meta.resolution(), Resolution::FiveMinutes);
    assert_eq!(meta.external_labels().get("a"), Some(&b"b"[..]));
    assert_eq!(meta.max_time.0, 9);
}

#[test]
fn a_time_that_cannot_be_one_is_named() {
    let error = |json: &str| BlockMeta::decode(json.as_bytes()).unwrap_err().to_string();
    let of = |min: i64, max: i64| {
        format!(r#"{{"ulid":"{ID}","minTime":{min},"maxTime":{max},"version":1}}"#)
    };
    for (json, expected) in [
        (of(2, 1), "minTime 2 is after maxTime 1".to_owned()),
        (
            of(-1, 1),
            format!("minTime: expected milliseconds from 0 to {MAX_TIME}, found -1"),
        ),
        (
            of(0, 1_700_712_000_000_000_000),
            format!(
                "maxTime: expected milliseconds from 0 to {MAX_TIME}, found 1700712000000000000"
            ),
        ),
    ] {
        assert_eq!(error(&json), expected);
    }
    for upload_time in ["", "yesterday", "2026-02-30T00:00:00Z", "1700000000"] {
        let error = decode(&format!(r#","thanos":{{"upload_time":"{upload_time}"}}"#)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "thanos.upload_time: expected a time as in 2026-01-31T00:00:00Z, found {upload_time:?}"
            )
        );
    }
    let said = decode(r#","thanos":{"upload_time":"2026-08-22T12:00:00.5+02:00"}"#).unwrap();
    let at = said.thanos.as_ref().and_then(ThanosMeta::uploaded_at);
    assert_eq!(at, Some(Timestamp(1_787_392_800_500)));
    let unset = decode(r#","thanos":{}"#).unwrap();
    assert_eq!(unset.thanos.unwrap().uploaded_at(), None);
}

#[test]
fn a_version_that_is_not_1_is_named() {
    for (json, expected) in [
        (
            r#"{"minTime":0,"maxTime":1,"version":0,"ulid":"01HF8J5JG0RAVB4GMS32W7ZJ2B"}"#,
            "version: expected 1, found 0",
        ),
        (
            r#"{"minTime":0,"maxTime":1,"version":null,"ulid":"01HF8J5JG0RAVB4GMS32W7ZJ2B"}"#,
            "version: expected 1, found 0",
        ),
    ] {
        assert_eq!(
            BlockMeta::decode(json.as_bytes()).unwrap_err().to_string(),
            expected
        );
    }
}
