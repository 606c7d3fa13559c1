//! Rule files of Prometheus and Thanos Ruler: whether they can be loaded.
//!
//! What is demanded is what `thanos tools rules-check` demands: known fields, one kind for each rule, expressions that
//! parse, names, durations, and templates that parse. Nothing is evaluated.

mod check;
mod expression;
mod file;
mod template;

pub use self::{
    check::{RuleFileError, RuleProblem, check},
    template::{TemplateError, parse_template},
};
