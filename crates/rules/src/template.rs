//! Templates of labels and annotations: whether Go's `text/template` parses them, with Prometheus's functions and
//! variables (`$labels`, `$externalLabels`, `$externalURL`, `$value`). The grammar is that of Go's `text/template/parse`.

mod lex;

use self::lex::{Action, Piece, Token, pieces};

/// Why a template does not parse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TemplateError(pub(crate) String);

/// Variables that each template has.
const VARIABLES: [&str; 5] = ["$", "$labels", "$externalLabels", "$externalURL", "$value"];

/// Words that are values.
const CONSTANTS: [&str; 3] = ["true", "false", "nil"];

/// Functions of Go's templates and of Prometheus's.
const FUNCTIONS: [&str; 49] = [
    "and",
    "call",
    "html",
    "index",
    "slice",
    "js",
    "len",
    "not",
    "or",
    "print",
    "printf",
    "println",
    "urlquery",
    "eq",
    "ge",
    "gt",
    "le",
    "lt",
    "ne",
    "query",
    "first",
    "label",
    "value",
    "strvalue",
    "args",
    "reReplaceAll",
    "safeHtml",
    "match",
    "title",
    "toUpper",
    "toLower",
    "graphLink",
    "tableLink",
    "sortByLabel",
    "stripPort",
    "stripDomain",
    "humanize",
    "humanize1024",
    "humanizeDuration",
    "humanizePercentage",
    "humanizeTimestamp",
    "toTime",
    "toDuration",
    "now",
    "pathPrefix",
    "externalURL",
    "parseDuration",
    "urlQueryEscape",
    "tmpl",
];

/// Checks that a template parses.
///
/// # Errors
/// At the first place where it does not.
pub fn parse_template(text: &str) -> Result<(), TemplateError> {
    let mut parser = Parser {
        variables: VARIABLES.map(str::to_owned).to_vec(),
        blocks: Vec::new(),
    };
    for piece in pieces(text)? {
        if let Piece::Action(action) = piece {
            parser.action(action)?;
        }
    }
    match parser.blocks.last() {
        None => Ok(()),
        Some(_) => Err(wrong("unexpected EOF")),
    }
}

/// What `end` closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keyword {
    If,
    Range,
    With,
    Define,
    Block,
}

/// A block that is open.
#[derive(Debug)]
struct Block {
    keyword: Keyword,
    /// Whether its last `else` has come.
    is_last: bool,
    /// The variables outside of it; those of a `define` are out of reach inside.
    outside: Vec<String>,
}

#[derive(Debug)]
struct Parser {
    variables: Vec<String>,
    blocks: Vec<Block>,
}

impl Parser {
    fn action(&mut self, mut action: Action) -> Result<(), TemplateError> {
        let Some(Token::Word(word)) = action.peek().cloned() else {
            return self.pipeline(&mut action, "command", true);
        };
        match word.as_str() {
            "if" | "range" | "with" => {
                action.next();
                let keyword = match word.as_str() {
                    "if" => Keyword::If,
                    "range" => Keyword::Range,
                    _ => Keyword::With,
                };
                self.open(keyword);
                self.pipeline(&mut action, &word, true)
            }
            "else" => {
                action.next();
                self.or_else(&mut action)
            }
            "end" => {
                action.next();
                action.over("end")?;
                let block = self.blocks.pop();
                let block = block.ok_or_else(|| wrong("unexpected {{end}}"))?;
                self.variables = block.outside;
                Ok(())
            }
            "break" | "continue" => {
                action.next();
                action.over(&word)?;
                // A template is a tree of its own, and `else` is outside of the range.
                let is_tree = |b: &&Block| matches!(b.keyword, Keyword::Define | Keyword::Block);
                let mut of_tree = self.blocks.iter().rev().take_while(|b| !is_tree(b));
                let in_range = of_tree.any(|b| b.keyword == Keyword::Range && !b.is_last);
                match in_range {
                    true => Ok(()),
                    false => Err(wrong(format!("{{{{{word}}}}} outside {{{{range}}}}"))),
                }
            }
            "define" | "block" | "template" => {
                action.next();
                action.skip_space();
                match action.next() {
                    Some(Token::Text) => {}
                    found => return Err(unexpected(found.as_ref(), &format!("{word} clause"))),
                }
                match word.as_str() {
                    "define" if !self.blocks.is_empty() => Err(wrong("unexpected {{define}}")),
                    "define" => {
                        action.over("define clause")?;
                        self.open(Keyword::Define);
                        self.variables = vec!["$".to_owned()];
                        Ok(())
                    }
                    "block" => {
                        self.pipeline(&mut action, "block clause", true)?;
                        self.open(Keyword::Block);
                        self.variables = vec!["$".to_owned()];
                        Ok(())
                    }
                    _ => self.pipeline(&mut action, "template clause", false),
                }
            }
            _ => self.pipeline(&mut action, "command", true),
        }
    }

    fn open(&mut self, keyword: Keyword) {
        self.blocks.push(Block {
            keyword,
            is_last: false,
            outside: self.variables.clone(),
        });
    }

    /// `else`, and `else if` and `else with`, which go on with the block.
    fn or_else(&mut self, action: &mut Action) -> Result<(), TemplateError> {
        action.skip_space();
        let again = match action.peek() {
            Some(Token::Word(word)) if word == "if" => Some(Keyword::If),
            Some(Token::Word(word)) if word == "with" => Some(Keyword::With),
            _ => None,
        };
        let block = self.blocks.last_mut();
        let is_such = |block: &&mut Block| {
            let takes = matches!(block.keyword, Keyword::If | Keyword::Range | Keyword::With);
            takes && !block.is_last && again.is_none_or(|again| again == block.keyword)
        };
        let block = block
            .filter(is_such)
            .ok_or_else(|| wrong("unexpected {{else}}"))?;
        self.variables.clone_from(&block.outside);
        block.is_last = again.is_none();
        match again {
            None => action.over("else"),
            Some(_) => {
                action.next();
                self.pipeline(action, "else", true)
            }
        }
    }

    /// A pipeline up to the end of the action, with declarations before it.
    fn pipeline(
        &mut self,
        action: &mut Action,
        context: &str,
        is_needed: bool,
    ) -> Result<(), TemplateError> {
        self.declarations(action, context)?;
        self.commands(action, context, is_needed, &Token::End)
    }

    /// `$x :=`, `$x =`, and `$i, $x :=` of a range.
    fn declarations(&mut self, action: &mut Action, context: &str) -> Result<(), TemplateError> {
        action.skip_space();
        let mut names = Vec::new();
        let start = action.at();
        while let Some(Token::Variable(name)) = action.peek().cloned() {
            action.next();
            action.skip_space();
            match action.peek() {
                // Go's parser takes either for a declaration.
                Some(Token::Declare | Token::Assign) => {
                    action.next();
                    names.push(name);
                    self.variables.append(&mut names);
                    return Ok(());
                }
                Some(Token::Comma) if context == "range" && names.is_empty() => {
                    action.next();
                    action.skip_space();
                    names.push(name);
                }
                _ => break,
            }
        }
        match names.is_empty() {
            true => {
                action.back_to(start);
                Ok(())
            }
            false => Err(wrong("range can only initialize variables")),
        }
    }

    /// Commands with `|` between them, up to `end`.
    fn commands(
        &mut self,
        action: &mut Action,
        context: &str,
        is_needed: bool,
        end: &Token,
    ) -> Result<(), TemplateError> {
        let mut number = 0;
        loop {
            action.skip_space();
            match action.peek() {
                found if found == Some(end) => {
                    action.next();
                    return match is_needed && number == 0 {
                        true => Err(wrong(format!("missing value for {context}"))),
                        false => Ok(()),
                    };
                }
                Some(token) if token.begins_operand() => {
                    self.command(action, number > 0)?;
                    number += 1;
                    action.skip_space();
                    match action.peek() {
                        // Go takes one at the end too.
                        Some(Token::Pipe) => {
                            action.next();
                        }
                        found if found == Some(end) => {}
                        found => return Err(unexpected(found, context)),
                    }
                }
                found => return Err(unexpected(found, context)),
            }
        }
    }

    /// Operands with spaces between them. What a value is piped into must be something that can be called.
    fn command(&mut self, action: &mut Action, is_piped: bool) -> Result<(), TemplateError> {
        let mut is_first = true;
        loop {
            let token = action.next().unwrap_or(Token::End);
            let can_be_called = matches!(
                token,
                Token::Word(_) | Token::Field | Token::Variable(_) | Token::Open
            );
            if is_piped && is_first && !can_be_called {
                return Err(wrong("non executable command in pipeline"));
            }
            is_first = false;
            self.operand(&token, action)?;
            while action.peek() == Some(&Token::Field) {
                let has_fields = match &token {
                    Token::Word(word) => !CONSTANTS.contains(&word.as_str()),
                    token => matches!(token, Token::Field | Token::Variable(_) | Token::Open),
                };
                if !has_fields {
                    return Err(wrong("unexpected . after term"));
                }
                action.next();
            }
            let had_space = action.skip_space();
            match action.peek() {
                Some(next) if next.begins_operand() => {
                    if !had_space {
                        return Err(unexpected(Some(next), "operand"));
                    }
                }
                _ => return Ok(()),
            }
        }
    }

    fn operand(&mut self, token: &Token, action: &mut Action) -> Result<(), TemplateError> {
        match token {
            Token::Variable(name) if !self.variables.contains(name) => Err(undefined(name)),
            Token::Word(word) if CONSTANTS.contains(&word.as_str()) => Ok(()),
            Token::Word(word) if !FUNCTIONS.contains(&word.as_str()) => {
                Err(wrong(format!("function {word:?} not defined")))
            }
            Token::Open => self.commands(action, "parenthesized pipeline", true, &Token::Close),
            _ => Ok(()),
        }
    }
}

impl Token {
    const fn begins_operand(&self) -> bool {
        matches!(
            self,
            Self::Word(_)
                | Self::Variable(_)
                | Self::Field
                | Self::Dot
                | Self::Text
                | Self::Number
                | Self::Open
        )
    }
}

pub(crate) fn wrong(reason: impl Into<String>) -> TemplateError {
    TemplateError(reason.into())
}

fn undefined(name: &str) -> TemplateError {
    wrong(format!("undefined variable {name:?}"))
}

fn unexpected(found: Option<&Token>, context: &str) -> TemplateError {
    let found = found.unwrap_or(&Token::End);
    wrong(format!("unexpected {found} in {context}"))
}

#[cfg(test)]
mod tests;
