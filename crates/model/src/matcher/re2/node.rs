//! A part of an expression, and the sizes that Go limits.
//!
//! The limits are Go's, so that an expression is refused here for what it is refused there. Heights are those
//! of Go's tree: captures count, plain groups do not, neighbouring literals are one.

use regex_syntax::hir::{Capture, Hir, HirKind, Repetition};

use super::{counts::MAX_REPEAT, error::Problem};

const MAX_HEIGHT: u32 = 1000;

/// Instructions of the compiled form, as Go counts them.
const MAX_SIZE: u64 = (128 << 20) / 40;

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) hir: Hir,
    shape: Shape,
    height: u32,
    /// Into how many copies the counts unfold the innermost part.
    copies: u32,
    size: u64,
}

/// How much a repetition takes of what it could.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Greed {
    Most,
    Least,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Literal,
    Concat,
    Alternation,
    Other,
}

impl Node {
    pub(super) fn leaf(hir: Hir) -> Self {
        Self {
            hir,
            shape: Shape::Other,
            height: 1,
            copies: 1,
            size: 1,
        }
    }

    pub(super) fn literal(text: &str) -> Self {
        Self {
            shape: Shape::Literal,
            size: text.chars().map(|_| 1).sum(),
            ..Self::leaf(Hir::literal(text.as_bytes()))
        }
    }

    pub(super) fn concat(items: Vec<Self>) -> Result<Self, Problem> {
        let literal = !items.is_empty() && items.iter().all(|item| item.shape == Shape::Literal);
        let mut node = Self::joined(items, Shape::Concat, Hir::concat)?;
        if literal {
            node.shape = Shape::Literal;
            node.height = 1;
        }
        Ok(node)
    }

    pub(super) fn alternation(branches: Vec<Self>) -> Result<Self, Problem> {
        let forks = branches.iter().skip(1).map(|_| 1).sum::<u64>();
        let mut node = Self::joined(branches, Shape::Alternation, Hir::alternation)?;
        node.size += forks;
        node.checked()
    }

    fn joined(
        mut parts: Vec<Self>,
        shape: Shape,
        join: impl Fn(Vec<Hir>) -> Hir,
    ) -> Result<Self, Problem> {
        if parts.len() == 1
            && let Some(only) = parts.pop()
        {
            return Ok(only);
        }
        // A part of the same shape becomes one with the whole.
        let height = |part: &Self| part.height - u32::from(part.shape == shape);
        let node = Self {
            shape,
            height: 1 + parts.iter().map(height).max().unwrap_or(0),
            copies: parts.iter().map(|part| part.copies).max().unwrap_or(1),
            size: parts.iter().map(|part| part.size).sum::<u64>().max(1),
            hir: join(parts.into_iter().map(|part| part.hir).collect()),
        };
        node.checked()
    }

    /// Takes in an alternative that matches the same.
    pub(super) fn merge(&mut self, other: &Self) -> Result<(), Problem> {
        self.shape = Shape::Other;
        self.height = self.height.max(other.height);
        self.copies = self.copies.max(other.copies);
        self.size += other.size + 1;
        if self.size > MAX_SIZE {
            return Err(Problem::Large);
        }
        Ok(())
    }

    pub(super) fn captured(self) -> Result<Self, Problem> {
        Self {
            shape: Shape::Other,
            height: self.height + 1,
            size: self.size + 2,
            ..self
        }
        .checked()
    }

    pub(super) fn repeat(self, min: u32, max: Option<u32>, greed: Greed) -> Result<Self, Problem> {
        let copies = match max.unwrap_or(min) {
            0 if max.is_some() => 1,
            0 => self.copies,
            count => self.copies.saturating_mul(count),
        };
        let counted = min >= 2 || max.is_some_and(|max| max >= 2);
        if counted && copies > MAX_REPEAT {
            return Err(Problem::RepeatCount);
        }
        let size = match max {
            None if min == 0 => self.size + 2,
            None => self.size * u64::from(min) + 1,
            Some(max) => self.size * u64::from(max) + u64::from(max - min),
        };
        let sub = match self.hir.kind() {
            // Written out again without a group, `(?:a+)?` would become `a+?`.
            HirKind::Repetition(_) => Hir::capture(Capture {
                index: 1,
                name: None,
                sub: Box::new(self.hir),
            }),
            _ => self.hir,
        };
        Self {
            hir: Hir::repetition(Repetition {
                min,
                max,
                greedy: greed == Greed::Most,
                sub: Box::new(sub),
            }),
            shape: Shape::Other,
            height: self.height + 1,
            copies,
            size: size.max(1),
        }
        .checked()
    }

    fn checked(self) -> Result<Self, Problem> {
        if self.height > MAX_HEIGHT {
            Err(Problem::Depth)
        } else if self.size > MAX_SIZE {
            Err(Problem::Large)
        } else {
            Ok(self)
        }
    }
}
