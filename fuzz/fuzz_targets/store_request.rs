//! Requests to the StoreAPI, and the matchers and labels in them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use prost::Message;
use proto::thanos::{LabelNamesRequest, LabelValuesRequest, SeriesRequest};
use varve_fuzz::bounded;

fuzz_target!(|data: &[u8]| {
    if let Some(request) = read::<SeriesRequest>(data) {
        let _ = proto::matchers(&request.matchers);
        let _ = request.aggregates().count();
    }
    if let Some(request) = read::<LabelNamesRequest>(data) {
        let _ = proto::matchers(&request.matchers);
    }
    if let Some(request) = read::<LabelValuesRequest>(data) {
        let _ = proto::matchers(&request.matchers);
    }
});

fn read<M: Message + Default + PartialEq + std::fmt::Debug>(data: &[u8]) -> Option<M> {
    let message = bounded(data.len(), 256, || M::decode(data)).ok()?;
    let again = M::decode(message.encode_to_vec().as_slice()).expect("what was written is read");
    assert_eq!(again, message);
    Some(message)
}
