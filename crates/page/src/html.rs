//! The page: one file, without any request to elsewhere.

use std::io;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha2::{Digest as _, Sha256};

use crate::encoded::Encoded;

const FRAME: &str = include_str!("../page/page.html");
const STYLE: &str = include_str!("../page/style.css");

/// The parts of the script, in their order.
const SCRIPT: [&str; 7] = [
    include_str!("../page/script/matchers.js"),
    include_str!("../page/script/text.js"),
    include_str!("../page/script/model.js"),
    include_str!("../page/script/draw.js"),
    include_str!("../page/script/table.js"),
    include_str!("../page/script/panels.js"),
    include_str!("../page/script/main.js"),
];

/// The page, and what a browser may do with it.
#[derive(Clone, Debug)]
pub(crate) struct Html {
    pub(crate) encoded: Encoded,
    /// `Content-Security-Policy`: this script and this style run, nothing else, and only this server is asked.
    pub(crate) policy: String,
}

impl Html {
    /// Puts the page together.
    ///
    /// # Errors
    /// When it cannot be compressed.
    pub(crate) fn new() -> io::Result<Self> {
        let script = format!("\"use strict\";(() => {{\n{}}})();\n", SCRIPT.concat());
        let html = FRAME
            .replace("/*style*/", STYLE)
            .replace("/*script*/", &script);
        let policy = format!(
            "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; \
             img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            hash(&script),
            hash(STYLE),
        );
        let etag = format!("W/\"{}\"", hash(&html));
        let encoded = Encoded::new(etag, move |out| out.write_all(html.as_bytes()))?;
        Ok(Self { encoded, policy })
    }
}

fn hash(text: &str) -> String {
    BASE64_STANDARD.encode(Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_small_and_asks_nobody_else() {
        let parts = [&[FRAME, STYLE][..], &SCRIPT].concat();
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        assert!(bytes <= 150_000, "{bytes}");
        for part in parts {
            for elsewhere in [
                "http://",
                "https://",
                "innerHTML",
                "outerHTML",
                "eval(",
                "</script",
            ] {
                let found = part.replace("http://www.w3.org/2000/svg", "");
                let found = match elsewhere {
                    // The frame's own.
                    "</script" => found.replace("/*script*/</script>", ""),
                    _ => found,
                };
                assert!(!found.contains(elsewhere), "{elsewhere}");
            }
        }
        assert!(FRAME.contains("<script>/*script*/</script>"));
        assert!(FRAME.contains("<style>/*style*/</style>"));
    }
}
