//! Groups, and the flags that hold within them.

use regex_syntax::hir::HirKind;

use super::{
    error::{Problem, Result, SyntaxError},
    node::Node,
};
use crate::cursor::Cursor;

/// What `(?ims)` changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flags {
    /// `i`: letters match whatever their case.
    pub(super) fold: bool,
    /// `m`: `^` and `$` match at line ends too.
    pub(super) lines: bool,
    /// `s`: `.` matches line ends too.
    pub(super) dot_matches_line_end: bool,
    /// `U`: what is repeated is repeated as rarely as can be, unless a `?` follows.
    pub(super) ungreedy: bool,
}

/// Whether a group is one that Go would capture, which counts for its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Captures {
    Yes,
    No,
}

/// A group that is not closed yet.
#[derive(Debug)]
pub(super) struct Group {
    /// Where it began.
    pub(super) at: usize,
    /// The flags in force around it.
    pub(super) flags_before: Flags,
    captures: Captures,
    /// Its number, if it captures.
    number: u32,
    alternatives: Vec<Node>,
    /// Which of them matches nothing but the empty text.
    empty: Option<usize>,
    /// What the last alternative has so far.
    pub(super) items: Vec<Node>,
}

/// What an opening parenthesis begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Opening {
    /// A group with the flags within it.
    Group(Flags, Captures),
    /// No group, but new flags.
    Flags(Flags),
}

impl Default for Flags {
    fn default() -> Self {
        Self {
            fold: false,
            lines: false,
            dot_matches_line_end: true,
            ungreedy: false,
        }
    }
}

impl Group {
    pub(super) fn new(at: usize, flags_before: Flags, captures: Captures) -> Self {
        Self {
            at,
            flags_before,
            captures,
            number: 0,
            alternatives: Vec::new(),
            empty: None,
            items: Vec::new(),
        }
    }

    /// The same with its number among those that capture.
    pub(super) fn numbered(self, number: u32) -> Self {
        Self { number, ..self }
    }

    /// Its number, if it captures.
    pub(super) fn number(&self) -> Option<u32> {
        (self.captures == Captures::Yes).then_some(self.number)
    }

    /// The whole expression.
    pub(super) fn outermost() -> Self {
        Self::new(0, Flags::default(), Captures::No)
    }

    pub(super) fn next_alternative(&mut self) -> std::result::Result<(), Problem> {
        let items = std::mem::take(&mut self.items);
        let node = Node::concat(items)?;
        let is_empty = matches!(node.hir.kind(), HirKind::Empty);
        let at = self.alternatives.len();
        let last = at.checked_sub(1);
        let same = if is_empty { self.empty.or(last) } else { last };
        match same.and_then(|same| self.alternatives.get_mut(same)) {
            // Written again, it takes no memory, only part of what Go's limits allow.
            Some(same) if same.hir == node.hir => same.merge(&node),
            _ => {
                self.empty = self.empty.or(is_empty.then_some(at));
                self.alternatives.push(node);
                Ok(())
            }
        }
    }

    pub(super) fn finish(mut self) -> std::result::Result<Node, Problem> {
        self.next_alternative()?;
        let node = Node::alternation(self.alternatives)?;
        match self.captures {
            Captures::Yes => node.captured(),
            Captures::No => Ok(node),
        }
    }
}

/// The name in the beginning of a group, if it has one.
pub(super) fn name(opening: &str) -> Option<&str> {
    let rest = opening.strip_prefix("(?")?;
    let rest = rest.strip_prefix('P').unwrap_or(rest);
    rest.strip_prefix('<')?.strip_suffix('>')
}

/// Passes the beginning of a group, and tells the flags within it. Or passes `(?flags)`, which is no group
/// but sets the flags from there on.
pub(super) fn opening(cursor: &mut Cursor<'_>, current: Flags) -> Result<Opening> {
    let start = cursor.at();
    let error =
        |problem, cursor: &Cursor<'_>| Err(SyntaxError::new(problem, start, cursor.since(start)));
    cursor.eat("(");
    if !cursor.eat("?") {
        return Ok(Opening::Group(current, Captures::Yes));
    }
    if cursor.eat("P<") || cursor.eat("<") {
        let Some(name) = cursor.take_until(">") else {
            cursor.take_rest();
            return error(Problem::CaptureName, cursor);
        };
        if name.is_empty() || !name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric()) {
            return error(Problem::CaptureName, cursor);
        }
        return Ok(Opening::Group(current, Captures::Yes));
    }
    let mut flags = current;
    // Turned by the one `-` there may be, which a flag must follow.
    let (mut to, mut dangling) = (true, false);
    loop {
        match cursor.bump() {
            Some('i') => flags.fold = to,
            Some('m') => flags.lines = to,
            Some('s') => flags.dot_matches_line_end = to,
            Some('U') => flags.ungreedy = to,
            Some('-') if to => {
                (to, dangling) = (false, true);
                continue;
            }
            Some(':') if !dangling => return Ok(Opening::Group(flags, Captures::No)),
            Some(')') if !dangling => return Ok(Opening::Flags(flags)),
            _ => return error(Problem::PerlSyntax, cursor),
        }
        dangling = false;
    }
}
