//! gRPC messages in gzip and in Snappy's framing format.

#![no_main]

use libfuzzer_sys::fuzz_target;
use service::GrpcEncoding;
use varve_fuzz::bounded;

/// The most that a message may have once it is decoded.
const LIMIT: usize = 1 << 16;

fuzz_target!(|data: &[u8]| {
    let Some((which, message)) = data.split_first() else {
        return;
    };
    let encoding = match which % 2 {
        0 => GrpcEncoding::Gzip,
        _ => GrpcEncoding::Snappy,
    };
    if let Ok(plain) = bounded(LIMIT, 4, || encoding.decode(message, LIMIT)) {
        assert!(plain.len() <= LIMIT);
        let again = encoding.encode(&plain).expect("memory takes all");
        let again = encoding
            .decode(&again, LIMIT)
            .expect("what was written is read");
        assert_eq!(again, plain);
    }
});
