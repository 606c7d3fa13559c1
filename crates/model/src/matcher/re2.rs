//! Go's regular expressions (`regexp/syntax`, as RE2), read into the form that Rust's regex engine compiles.
//!
//! Rust's own syntax is another one, and not only where it refuses: `[a&&b]`, `\<` and `\d` mean something else
//! there without a word. So no pattern reaches Rust's parser as it was written.
//!
//! For a matcher only whether a whole value matches counts. There groups capture nothing, and greed, which decides
//! what a match spans but not whether there is one, is read and forgotten. [`parse_captures`] keeps both.
//!
//! A surrogate, which no text has, is U+FFFD where it stands for itself: Go makes texts of a pattern's fixed
//! parts, and writes it so. Where Go's engine goes character by character instead, as after `[ab]+`, nothing
//! matches there; here U+FFFD does.
//!
//! Unicode's tables are those of `regex-syntax`, a version newer than Go's: characters assigned between the
//! two are in more classes here. Names of classes are taken without regard to case, `_` and `-`, as Go does
//! since 1.25; the names with `_` that it lost thereby are known here as before.

mod class;
mod counts;
mod error;
mod escape;
mod group;
mod node;
mod unicode;

use regex_syntax::hir::{Capture, Class, ClassUnicode, Dot, Hir, Look};

pub(super) use error::SyntaxError;
use error::{Problem, Result};
use group::{Captures, Flags, Group, Opening};
use node::{Greed, Node};

use crate::cursor::Cursor;

/// How many ranges all classes of an expression may have. Go allows more; what has as many is far beyond
/// the limit of a compiled expression.
const MAX_RANGES: usize = 1 << 20;

/// How many parts an expression may be written of: texts, classes, repetitions, groups. Each takes some 250 bytes until
/// the whole is compiled. Go has no such limit, but nobody writes as many.
const MAX_PARTS: usize = 1 << 19;

/// Reads `pattern` and anchors it at both ends; `.` matches line ends too.
pub(super) fn parse(pattern: &str) -> Result<Hir> {
    read(pattern, Keep::Nothing).map(|(hir, _)| hir)
}

/// The same with its groups and its greed. The groups are called as [`group_name`] says. Beside the expression come the
/// groups that the pattern names, by their numbers.
pub(super) fn parse_captures(pattern: &str) -> Result<(Hir, Vec<(String, u32)>)> {
    read(pattern, Keep::Captures)
}

/// The name of the group with this number.
pub(super) fn group_name(number: u32) -> String {
    format!("group{number}")
}

/// What is kept of an expression beside the texts that match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    Nothing,
    /// Groups and greed.
    Captures,
}

fn read(pattern: &str, keep: Keep) -> Result<(Hir, Vec<(String, u32)>)> {
    let mut parser = Parser {
        cursor: Cursor::new(pattern),
        flags: Flags::default(),
        group: Group::outermost(),
        outer: Vec::new(),
        ranges: 0,
        parts: 0,
        after_surrogate: false,
        keep,
        captures: 0,
        names: Vec::new(),
    };
    parser.read_all()?;
    if !parser.outer.is_empty() {
        return Err(SyntaxError::new(
            Problem::MissingParen,
            parser.group.at,
            pattern,
        ));
    }
    let large = |problem| SyntaxError::new(problem, 0, pattern);
    let node = parser.group.finish().map_err(large)?;
    let [start, end] = [Look::Start, Look::End].map(|look| Node::leaf(Hir::look(look)));
    // Go's limits are on the anchored expression too.
    let whole = Node::concat(vec![start, node, end]);
    Ok((whole.map_err(large)?.hir, parser.names))
}

struct Parser<'p> {
    cursor: Cursor<'p>,
    flags: Flags,
    /// The innermost group that is open.
    group: Group,
    /// The groups around it, outermost first.
    outer: Vec<Group>,
    /// Ranges in classes so far.
    ranges: usize,
    /// Parts so far.
    parts: usize,
    /// Whether the last step read a surrogate.
    after_surrogate: bool,
    keep: Keep,
    /// Groups so far that capture.
    captures: u32,
    /// Those that have a name, and their numbers.
    names: Vec<(String, u32)>,
}

/// What a step read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// A repetition: another one must not follow directly.
    Repeat,
    Other,
}

impl Parser<'_> {
    fn read_all(&mut self) -> Result<()> {
        let mut last = (0, Step::Other);
        while let Some(c) = self.cursor.peek() {
            let at = self.cursor.at();
            let step = self.step(c)?;
            if step == Step::Repeat && last.1 == Step::Repeat {
                return Err(self.error(Problem::RepeatOfRepeat, last.0));
            }
            last = (at, step);
        }
        Ok(())
    }

    fn step(&mut self, c: char) -> Result<Step> {
        let at = self.cursor.at();
        let after_surrogate = std::mem::take(&mut self.after_surrogate);
        match c {
            '*' | '+' | '?' => {
                self.cursor.bump();
                let min = u32::from(c == '+');
                let max = (c == '?').then_some(1);
                self.repeat(at, min, max, after_surrogate)?;
                return Ok(Step::Repeat);
            }
            '{' => {
                if let Some(counts) = counts::counts(&mut self.cursor) {
                    let (min, max) = counts.map_err(|problem| self.error(problem, at))?;
                    self.repeat(at, min, max, after_surrogate)?;
                    return Ok(Step::Repeat);
                }
                self.cursor.bump();
                self.literal('{')?;
            }
            '(' => self.open()?,
            ')' => self.close()?,
            '|' => {
                self.cursor.bump();
                let alternative = self.group.next_alternative();
                alternative.map_err(|problem| self.error(problem, at))?;
            }
            '^' | '$' | '.' => {
                self.cursor.bump();
                self.push(self.flags.meaning(c))?;
            }
            '[' => {
                let class = class::bracketed(&mut self.cursor, self.flags)?;
                self.class(at, class)?;
            }
            '\\' => self.escaped()?,
            _ => self.literals()?,
        }
        Ok(Step::Other)
    }

    /// A run of characters that stand for themselves. The last one stands alone if it may be repeated, which
    /// `a(?i)*` and `a\Q\E*` do too.
    fn literals(&mut self) -> Result<()> {
        let run = self.cursor.take_while(|c| !r"*+?{()|^$.[\".contains(c));
        if self.flags.fold {
            return run.chars().try_for_each(|c| self.literal(c));
        }
        let repeated = self.cursor.peek().is_some_and(|c| r"*+?{(\".contains(c));
        let last = run.char_indices().next_back().map_or(0, |(last, _)| last);
        let (all_but_last, last) = run.split_at(if repeated { last } else { run.len() });
        for run in [all_but_last, last] {
            if !run.is_empty() {
                self.push_node(Node::literal(run))?;
            }
        }
        Ok(())
    }

    fn literal(&mut self, c: char) -> Result<()> {
        if self.flags.fold {
            self.class(self.cursor.at(), class::folded(c))
        } else {
            self.push_node(Node::literal(c.encode_utf8(&mut [0; 4])))
        }
    }

    fn class(&mut self, at: usize, class: ClassUnicode) -> Result<()> {
        self.ranges += class.ranges().len();
        if self.ranges > MAX_RANGES {
            return Err(self.error(Problem::Large, at));
        }
        self.push(Hir::class(Class::Unicode(class)))
    }

    fn push(&mut self, hir: Hir) -> Result<()> {
        self.push_node(Node::leaf(hir))
    }

    fn push_node(&mut self, node: Node) -> Result<()> {
        self.parts += 1;
        if self.parts > MAX_PARTS {
            return Err(self.error(Problem::Large, self.cursor.at()));
        }
        self.group.items.push(node);
        Ok(())
    }

    /// What begins with `\` outside of classes.
    fn escaped(&mut self) -> Result<()> {
        let at = self.cursor.at();
        let looks = [
            (r"\A", Look::Start),
            (r"\z", Look::End),
            (r"\b", Look::WordAscii),
            (r"\B", Look::WordAsciiNegate),
        ];
        for (token, look) in looks {
            if self.cursor.eat(token) {
                return self.push(Hir::look(look));
            }
        }
        if self.cursor.eat(r"\Q") {
            let quoted = self.cursor.take_until(r"\E");
            let quoted = quoted.unwrap_or_else(|| self.cursor.take_rest());
            return quoted.chars().try_for_each(|c| self.literal(c));
        }
        if let Some(ranges) = class::escaped(&mut self.cursor, self.flags)? {
            return self.class(at, ClassUnicode::new(ranges));
        }
        match char::from_u32(escape::code_point(&mut self.cursor)?) {
            Some(c) => self.literal(c),
            None => {
                self.after_surrogate = true;
                self.literal(char::REPLACEMENT_CHARACTER)
            }
        }
    }

    fn open(&mut self) -> Result<()> {
        let at = self.cursor.at();
        match group::opening(&mut self.cursor, self.flags)? {
            Opening::Flags(flags) => self.flags = flags,
            Opening::Group(flags, captures) => {
                if captures == Captures::Yes {
                    self.captures += 1;
                    let name = group::name(self.cursor.since(at));
                    self.names
                        .extend(name.map(|name| (name.to_owned(), self.captures)));
                }
                let inner = Group::new(at, self.flags, captures).numbered(self.captures);
                self.outer.push(std::mem::replace(&mut self.group, inner));
                self.flags = flags;
            }
        }
        Ok(())
    }

    /// The flags that a lone `(?i)` sets go back to what they were where the group around it began.
    fn close(&mut self) -> Result<()> {
        let at = self.cursor.at();
        self.cursor.bump();
        let Some(outer) = self.outer.pop() else {
            return Err(self.error(Problem::UnexpectedParen, at));
        };
        let closed = std::mem::replace(&mut self.group, outer);
        self.flags = closed.flags_before;
        let (start, number) = (closed.at, closed.number());
        let mut node = closed
            .finish()
            .map_err(|problem| self.error(problem, start))?;
        if let (Keep::Captures, Some(index)) = (self.keep, number) {
            node.hir = Hir::capture(Capture {
                index,
                name: Some(group_name(index).into()),
                sub: Box::new(node.hir),
            });
        }
        self.push_node(node)
    }

    /// Repeats what was read last. Go compares a surrogate that may be missing with characters, none of which
    /// is one.
    fn repeat(&mut self, at: usize, min: u32, max: Option<u32>, surrogate: bool) -> Result<()> {
        let is_swapped = self.cursor.eat("?");
        let greed = match self.keep == Keep::Nothing || is_swapped == self.flags.ungreedy {
            true => Greed::Most,
            false => Greed::Least,
        };
        let Some(mut node) = self.group.items.pop() else {
            return Err(self.error(Problem::MissingRepeatArgument, at));
        };
        if surrogate && min == 0 {
            node.hir = Hir::fail();
        }
        let node = node.repeat(min, max, greed);
        let node = node.map_err(|problem| self.error(problem, at))?;
        self.push_node(node)
    }

    fn error(&self, problem: Problem, start: usize) -> SyntaxError {
        SyntaxError::new(problem, start, self.cursor.since(start))
    }
}

impl Flags {
    /// What `^`, `$` or `.` means.
    fn meaning(self, c: char) -> Hir {
        match (c, self.lines) {
            ('^', false) => Hir::look(Look::Start),
            ('^', true) => Hir::look(Look::StartLF),
            ('$', false) => Hir::look(Look::End),
            ('$', true) => Hir::look(Look::EndLF),
            _ if self.dot_matches_line_end => Hir::dot(Dot::AnyChar),
            _ => Hir::dot(Dot::AnyCharExceptLF),
        }
    }
}
