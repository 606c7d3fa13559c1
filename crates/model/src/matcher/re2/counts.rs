//! How often a part is repeated: `{n}`, `{n,}` and `{n,m}`.

use super::error::Problem;
use crate::cursor::Cursor;

/// The largest count.
pub(super) const MAX_REPEAT: u32 = 1000;

/// At least, and at most if there is a limit.
type Counts = (u32, Option<u32>);

/// Passes the counts and tells them. Any other brace stands for itself and is not passed.
pub(super) fn counts(cursor: &mut Cursor<'_>) -> Option<Result<Counts, Problem>> {
    let mut ahead = *cursor;
    ahead.bump();
    let min = count(&mut ahead)?;
    let max = if !ahead.eat(",") {
        min.map(Some)
    } else if ahead.rest().starts_with('}') {
        Ok(None)
    } else {
        count(&mut ahead)?.map(Some)
    };
    if !ahead.eat("}") {
        return None;
    }
    *cursor = ahead;
    Some(checked(min, max))
}

fn checked(
    min: Result<u32, Problem>,
    max: Result<Option<u32>, Problem>,
) -> Result<Counts, Problem> {
    let (min, max) = (min?, max?);
    if max.is_some_and(|max| max < min) {
        return Err(Problem::RepeatCount);
    }
    Ok((min, max))
}

/// A number without leading zeros, if one comes next; an error if it is too large.
fn count(cursor: &mut Cursor<'_>) -> Option<Result<u32, Problem>> {
    let digits = cursor.take_while(|c| c.is_ascii_digit());
    if digits.is_empty() || digits.len() > 1 && digits.starts_with('0') {
        return None;
    }
    let count = digits.parse().ok().filter(|count| *count <= MAX_REPEAT);
    Some(count.ok_or(Problem::RepeatCount))
}
