//! An error and its causes as one line.

/// The error, then each cause that its text does not contain yet: ours contain theirs.
pub(crate) fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn a_cause_that_is_named_already_is_not_said_again() {
        let selector = r#"up{job=~"a("}"#;
        let error = model::parse_selector(selector).with_context(|| selector.to_owned());
        let text = chain(&error.unwrap_err());
        assert_eq!(text.matches("matcher job").count(), 1, "{text}");
        assert!(
            text.starts_with("up{job=~\"a(\"}: selector, byte 3: matcher job=~\"a(\": "),
            "{text}"
        );
    }

    #[test]
    fn other_causes_are_said_in_order() {
        let error = anyhow::anyhow!("c").context("b").context("a");
        assert_eq!(chain(&error), "a: b: c");
    }
}
