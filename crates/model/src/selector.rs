//! PromQL's vector selectors: `up{job="node"}`.

#[cfg(test)]
mod tests;

use crate::{
    METRIC_NAME, MatchOp, Matcher, MatcherError,
    cursor::Cursor,
    quote::{is_plain, unquote},
};

/// An invalid selector.
#[derive(Debug, thiserror::Error)]
pub enum SelectorError {
    /// Something else was expected.
    #[error("selector, byte {at}: expected {expected}, found {found}")]
    Syntax {
        /// The position in bytes.
        at: usize,
        /// What was expected.
        expected: &'static str,
        /// What was found.
        found: String,
    },
    /// A matcher's pattern is invalid.
    #[error("selector, byte {at}: {source}")]
    Matcher {
        /// Where the matcher begins, in bytes.
        at: usize,
        /// What is wrong with it.
        source: MatcherError,
    },
    /// The metric's name is given before the braces and again in them.
    #[error("selector, byte {at}: expected one metric name, found another after {first:?}")]
    TwoNames {
        /// The position of the second name, in bytes.
        at: usize,
        /// The first name.
        first: String,
    },
    /// The selector matches series without any label, and so all series.
    #[error("selector: expected a matcher that the empty value does not match, found none")]
    MatchesEmpty,
}

/// Reads a vector selector as PromQL does: `up`, `up{job="node",instance=~"a.*"}`, `{__name__="up"}`,
/// `{"http.requests", "service.name"!="b"}`. A metric's name becomes a matcher on [`METRIC_NAME`].
///
/// # Errors
/// When the text is not a selector, a pattern is invalid, or all series would match.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, SelectorError> {
    let mut parser = Parser {
        cursor: Cursor::new(text),
        name: None,
        matchers: Vec::new(),
    };
    parser.read()?;
    if parser.matchers.iter().all(Matcher::matches_empty) {
        return Err(SelectorError::MatchesEmpty);
    }
    Ok(parser.matchers)
}

struct Parser<'t> {
    cursor: Cursor<'t>,
    /// The metric's name before the braces.
    name: Option<String>,
    matchers: Vec<Matcher>,
}

impl Parser<'_> {
    fn read(&mut self) -> Result<(), SelectorError> {
        self.skip_space();
        let name_at = self.cursor.at();
        let name = self.identifier(|c| c == ':');
        if !name.is_empty() {
            let name = name.to_owned();
            self.push(
                name_at,
                MatchOp::Equal,
                METRIC_NAME.to_owned(),
                name.clone(),
            )?;
            self.name = Some(name);
            self.skip_space();
        }
        if self.cursor.eat("{") {
            self.braces()?;
            self.skip_space();
        } else if self.name.is_none() {
            return Err(self.error("a metric name or {"));
        }
        match self.cursor.peek() {
            None => Ok(()),
            Some(_) => Err(self.error("the end of the selector")),
        }
    }

    /// The matchers in braces, and the closing brace.
    fn braces(&mut self) -> Result<(), SelectorError> {
        self.skip_space();
        while !self.cursor.eat("}") {
            self.condition()?;
            self.skip_space();
            if self.cursor.eat(",") {
                self.skip_space();
            } else if !self.cursor.rest().starts_with('}') {
                return Err(self.error("a comma or }"));
            }
        }
        Ok(())
    }

    /// `name="value"`, or the metric's name in quotes.
    fn condition(&mut self) -> Result<(), SelectorError> {
        let at = self.cursor.at();
        let quoted = self.cursor.peek().is_some_and(is_quote);
        let name = if quoted {
            self.quoted_name()?
        } else {
            self.identifier(|_| false).to_owned()
        };
        if name.is_empty() && !quoted {
            return Err(self.error("a label name, a quoted name or }"));
        }
        self.skip_space();
        if quoted && self.cursor.rest().starts_with([',', '}']) {
            return self.push(at, MatchOp::Equal, METRIC_NAME.to_owned(), name);
        }
        let op = self.operator()?;
        self.skip_space();
        if !self.cursor.peek().is_some_and(is_quote) {
            return Err(self.error("a value in quotes"));
        }
        let value = self.string()?;
        self.push(at, op, name, value)
    }

    fn push(
        &mut self,
        at: usize,
        op: MatchOp,
        name: String,
        value: impl Into<Vec<u8>>,
    ) -> Result<(), SelectorError> {
        if name == METRIC_NAME
            && let Some(first) = &self.name
        {
            let first = first.clone();
            return Err(SelectorError::TwoNames { at, first });
        }
        let matcher = Matcher::new(op, name, value);
        let matcher = matcher.map_err(|source| SelectorError::Matcher { at, source })?;
        self.matchers.push(matcher);
        Ok(())
    }

    fn operator(&mut self) -> Result<MatchOp, SelectorError> {
        use MatchOp::{Equal, NotEqual, NotRegex, Regex};
        // The longer ones first.
        let ops = [
            ("=~", Regex),
            ("!~", NotRegex),
            ("!=", NotEqual),
            ("=", Equal),
        ];
        for (token, op) in ops {
            if self.cursor.eat(token) {
                return Ok(op);
            }
        }
        Err(self.error("=, !=, =~ or !~"))
    }

    /// A name in quotes, which must be UTF-8.
    fn quoted_name(&mut self) -> Result<String, SelectorError> {
        let start = self.cursor;
        let name = String::from_utf8(self.string()?);
        name.map_err(|_| {
            self.cursor = start;
            self.error("a name of valid UTF-8")
        })
    }

    /// A string in quotes; escapes may make any bytes.
    fn string(&mut self) -> Result<Vec<u8>, SelectorError> {
        let mut after = self.cursor;
        let result = unquote(&mut after);
        match result {
            Ok(text) => {
                self.cursor = after;
                Ok(text)
            }
            Err(bad) => {
                while self.cursor.at() < bad.at && self.cursor.bump().is_some() {}
                Err(self.error(bad.expected))
            }
        }
    }

    /// A name without quotes, or an empty one. `also` says which characters it may have besides letters, digits and
    /// `_`.
    fn identifier(&mut self, also: impl Fn(char) -> bool) -> &str {
        if self.cursor.peek().is_some_and(|c| c.is_ascii_digit()) {
            return "";
        }
        self.cursor.take_while(|c| is_plain(c) || also(c))
    }

    fn skip_space(&mut self) {
        self.cursor
            .take_while(|c| matches!(c, ' ' | '\t' | '\n' | '\r'));
    }

    fn error(&self, expected: &'static str) -> SelectorError {
        let found = match self.cursor.peek() {
            Some(c) => format!("{c:?}"),
            None => "the end".to_owned(),
        };
        SelectorError::Syntax {
            at: self.cursor.at(),
            expected,
            found,
        }
    }
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '`')
}
