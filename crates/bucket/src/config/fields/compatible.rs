//! Types of stores that are reached through their S3-compatible interface.

use super::{Table, honoured, http::HTTP};

pub(super) const COS: Table = Table {
    kind: "COS",
    fields: &[
        honoured("bucket", ""),
        honoured("app_id", ""),
        honoured("region", ""),
        honoured(
            "endpoint",
            "the bucket's URL, instead of the three fields before",
        ),
        honoured("secret_id", ""),
        honoured("secret_key", ""),
        honoured("max_retries", "0 is 10"),
    ],
    http: HTTP,
    refused: None,
};

pub(super) const ALIYUNOSS: Table = Table {
    kind: "ALIYUNOSS",
    fields: &[
        honoured(
            "endpoint",
            "`https` unless it begins with `http://`; `oss-REGION.aliyuncs.com` is asked as `s3.oss-REGION.aliyuncs.com`",
        ),
        honoured("bucket", ""),
        honoured("access_key_id", ""),
        honoured("access_key_secret", ""),
    ],
    http: &[],
    refused: None,
};

pub(super) const OBS: Table = Table {
    kind: "OBS",
    fields: &[
        honoured("bucket", ""),
        honoured("endpoint", "`https` unless it begins with `http://`"),
        honoured("access_key", ""),
        honoured("secret_key", ""),
        honoured("max_retries", "0 is 10"),
    ],
    http: HTTP,
    refused: None,
};

pub(super) const BOS: Table = Table {
    kind: "BOS",
    fields: &[
        honoured("bucket", ""),
        honoured(
            "endpoint",
            "`https` unless it begins with `http://`; `REGION.bcebos.com` is asked as `s3.REGION.bcebos.com`",
        ),
        honoured("access_key", ""),
        honoured("secret_key", ""),
    ],
    http: &[],
    refused: None,
};
