//! Who asks for answers in gzip.

use axum::http::{HeaderMap, header};

/// Whether an answer may be in gzip.
///
/// A coding with the weight 0 is refused.
#[must_use]
pub fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).into_iter();
    let values = values.filter_map(|value| value.to_str().ok());
    let mut codings = values.flat_map(|value| value.split(','));
    codings.any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| {
            ["gzip", "x-gzip"]
                .iter()
                .any(|known| name.eq_ignore_ascii_case(known))
        });
        let weights = |part: &str| -> Option<f32> {
            let (name, weight) = part.split_once('=')?;
            let weight = weight.trim().parse().unwrap_or(0.0);
            name.trim().eq_ignore_ascii_case("q").then_some(weight)
        };
        is_gzip && parts.find_map(weights).unwrap_or(1.0) > 0.0
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn gzip_is_for_those_who_accept_it() {
        for (accept, asked) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("deflate, gzip ; q=1.0", true),
            ("gzip;q=0", false),
            ("identity", false),
            ("", false),
        ] {
            let value = HeaderValue::from_static(accept);
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, value)]);
            assert_eq!(accepts_gzip(&headers), asked, "{accept}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
