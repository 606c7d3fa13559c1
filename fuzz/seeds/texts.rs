//! Seeds that are texts, and requests.

use bucket::{Object, testing::encode_catalog};
use model::Timestamp;
use prost::Message;
use proto::thanos::{LabelMatcher, LabelNamesRequest, SeriesRequest, ShardInfo};

use super::Corpus;

const MARKS: [&str; 3] = [
    r#"{"id":"01M84DQ2RXQ4VR0WWGPMBR2WG5","version":1,"details":"old","deletion_time":1700000000}"#,
    r#"{"id":"01M84DQ2RXQ4VR0WWGPMBR2WG5","version":1,"no_compact_time":1,"reason":"manual"}"#,
    r#"{"id":"01M84DQ2RXQ4VR0WWGPMBR2WG5","version":1,"no_downsample_time":1,"reason":"manual"}"#,
];

const META: &str = r#"{"version":1,"ulid":"01M84DQ2RXQ4VR0WWGPMBR2WG5","minTime":0,"maxTime":7200000,
"stats":{"numSamples":1,"numSeries":1,"numChunks":1,"numTombstones":1},
"compaction":{"level":2,"sources":["01M84DQ2RXQ4VR0WWGPMBR2WG5"],
"parents":[{"ulid":"01M84DQ2RXQ4VR0WWGPMBR2WG5","minTime":0,"maxTime":1}],"hints":["x"],"deletable":true},
"thanos":{"version":1,"labels":{"a":"b"},"downsample":{"resolution":300000},"source":"compactor",
"segment_files":["000001"],"files":[{"rel_path":"index","size_bytes":1,"hash":{"hashFunc":"SHA256","hash":"00"}}],
"index_stats":{"series_max_size":1,"chunk_max_size":2},"extensions":{"x":[1,2.5,null]},
"upload_time":"2024-01-01T00:00:00Z"}}"#;

const BUCKETS: [&str; 5] = [
    "type: FILESYSTEM\nconfig:\n  directory: /data\nprefix: a/b\n",
    "type: S3\nconfig:\n  bucket: b\n  endpoint: e:9000\n  access_key: $(A)\n  secret_key: \"s\"\n  insecure: true\n  \
     http_config:\n    idle_conn_timeout: 1m30s\n    tls_config: {insecure_skip_verify: true}\n",
    "type: S3\nconfig: {bucket: b, endpoint: e, region: r, signature_version2: false, sse_config: {type: SSE-S3}, \
     put_user_metadata: {a: b}, trace: {enable: false}, part_size: 67108864, max_retries: 3}\n",
    "type: GCS\nconfig: &x {bucket: b}\nhedging_config: *x\n",
    "type: S3\nconfig: {bucket: b, endpoint: e, list_objects_version: v2, bucket_lookup_type: path, aws_sdk_auth: false}\n",
];

const CONFIGURATIONS: [&str; 2] = [
    "global:\n  external_labels: {replica: $(A), zone: \"$(B)$(A)\"}\n",
    "\u{1f}\u{8b} $A ${A} $() $(A b) $(A",
];

const SELECTORS: [&str; 8] = [
    "up",
    r#"up{job="node",instance=~"a.*"}"#,
    r#"{"http.requests", "service.name"!="b"}"#,
    r#"{__name__=~"a|b|c", x!~'d\x41\u00e9\101\n', }"#,
    "{a=`raw`, b=\"\\U0001F600\"}",
    r#"job:rate:5m{ a = "" , b != "" }"#,
    r#"{_a="b",on="c",by="d"} # x"#,
    r#"{a=~"(?i)foo|bar[^a-z]+\\d{1,3}"}"#,
];

const PATTERNS: [&str; 14] = [
    "a|b|c\nb",
    "foo.*\nfoobar",
    ".*foo\nxfoo",
    ".+\na",
    "(?i:foo|BAR)\nbar",
    "a[0-9b-d]{2,3}x?\na9bx",
    r"\pL+\P{Greek}\x{41}\Q.*\E
aab",
    r"(?P<x>a|(b))(?s-i:.)\z
a",
    r"[[:alpha:]\d\S^-]*?
a1",
    "(a|ab)(c|bcd)(d*)\nabcd",
    "^a$|^b$\nb",
    "\\bfoo\\B.\nfoox",
    "((a{1,10}){1,10}){1,10}\naaaa",
    "prefix-(1|2|3)-.*\nprefix-1-x",
];

/// Adds them all.
pub fn write(corpus: &Corpus) {
    let texts: [(&str, &[&str]); 6] = [
        ("meta", &MARKS),
        ("meta", &[META]),
        ("bucket_config", &BUCKETS),
        ("prometheus_config", &CONFIGURATIONS),
        ("selector", &SELECTORS),
        ("matcher", &PATTERNS),
    ];
    for (target, texts) in texts {
        for (i, text) in texts.iter().enumerate() {
            corpus.add(target, &format!("{}-{i}", texts.len()), text.as_bytes());
        }
    }
    corpus.add("catalog", "whole", &[&[0], catalog().as_slice()].concat());
    let entry = [&[1, 1, 0, b'a'][..], &[0; 16], b"\x01\x01\0e\x02\0\0\0{}"].concat();
    let content = [&[1], entry.as_slice(), &[0, 1, 0, 0, 0, 0, 0, 0, 0]].concat();
    corpus.add("catalog", "content", &content);
    let matcher = |kind, name: &str, value: &'static str| LabelMatcher {
        r#type: kind,
        name: name.into(),
        value: value.into(),
    };
    let matchers = vec![matcher(0, "__name__", "up"), matcher(2, "a", "b|c.*")];
    let series = SeriesRequest {
        min_time: -1,
        max_time: i64::MAX,
        matchers: matchers.clone(),
        aggregates: vec![1, 5],
        shard_info: Some(ShardInfo {
            total_shards: 3,
            labels: vec!["a".into()],
            ..ShardInfo::default()
        }),
        ..SeriesRequest::default()
    };
    let names = LabelNamesRequest {
        matchers,
        end: 5,
        ..LabelNamesRequest::default()
    };
    corpus.add("store_request", "series", &series.encode_to_vec());
    corpus.add("store_request", "names", &names.encode_to_vec());
}

fn catalog() -> Vec<u8> {
    let object = Object {
        key: "01M84DQ2RXQ4VR0WWGPMBR2WG5/meta.json".to_owned(),
        size: 900,
        last_modified: Timestamp(1_700_000_000_000),
        etag: Some("\"x\"".to_owned()),
    };
    let entries = [(&object, META.as_bytes().to_vec()), (&object, Vec::new())];
    encode_catalog(entries.into_iter())
}
