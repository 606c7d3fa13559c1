//! Whether PromQL parses as Thanos and Prometheus parse it without feature flags.

use promql_parser::{
    parser::{self, Expr},
    util::{ExprVisitor, walk_expr},
};

/// What is behind a feature flag beyond what the parser knows to be.
const EXPERIMENTAL: [&str; 3] = ["limitk", "limit_ratio", "first_over_time"];

/// Refuses what needs a feature flag.
struct Enabled;

/// Parses an expression.
///
/// # Errors
/// With the reason, if it is none.
pub(crate) fn parse(text: &str) -> Result<(), String> {
    let expr = parser::parse(text)?;
    walk_expr(&mut Enabled, &expr).map(drop)
}

impl ExprVisitor for Enabled {
    type Error = String;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, String> {
        match expr {
            Expr::Call(call) => {
                let name = call.func.name;
                match call.func.experimental || EXPERIMENTAL.contains(&name) {
                    true => Err(format!("{name} is experimental and not enabled")),
                    false => Ok(true),
                }
            }
            Expr::Aggregate(aggregate) => {
                let name = aggregate.op.to_string();
                if EXPERIMENTAL.contains(&name.as_str()) {
                    return Err(format!("{name} is experimental and not enabled"));
                }
                // The walk does not go into it.
                let parameter = aggregate.param.as_deref();
                parameter.map_or(Ok(true), |parameter| walk_expr(self, parameter))
            }
            _ => Ok(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_feature_flag_is_refused() {
        for text in [
            "sum by (job) (rate(x{a=~\"b|c\"}[5m] offset -1h))",
            "histogram_quantile(0.9, sum(rate(x[5m])) by (le)) > on(job) group_left a @ end()",
            "max_over_time(rate(x[5m])[1h:1m])",
            "{\"utf.8\", a=\"b\"}",
            "-1 + 2 ^ 3 ** 4",
            "topk(scalar(a), b)",
        ] {
            let is_parsed = parse(text).is_ok();
            assert_eq!(is_parsed, !text.contains("**"), "{text}");
        }
        for (text, name) in [
            ("info(x)", "info"),
            ("sum(mad_over_time(x[5m]))", "mad_over_time"),
            ("limitk(2, x)", "limitk"),
            ("topk(scalar(limit_ratio(0.1, x)), x)", "limit_ratio"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(
                error.contains(name) && error.contains("experimental"),
                "{error}"
            );
        }
    }
}
