//! What befalls a program at one of its writes to the bucket.

use crate::{Failure, Fault, S3Server, When};

/// What befalls a program at one of its writes.
#[derive(Clone, Copy, Debug)]
pub enum Crash {
    /// That write is refused; what the program does about it works.
    OneRefused,
    /// It is killed before that write: from then on nothing works.
    KilledBefore,
    /// It is killed behind that write.
    KilledBehind,
}

impl Crash {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::OneRefused, Self::KilledBefore, Self::KilledBehind];

    /// Lets it happen at the write with this number, counted from now on.
    pub fn inject(self, s3: &S3Server, write: usize) {
        let fault = |when, failure| s3.inject(Fault { when, failure });
        match self {
            Self::OneRefused => fault(When::Write(write), Failure::Refused),
            Self::KilledBefore => fault(When::WritesFrom(write), Failure::Refused),
            Self::KilledBehind => {
                fault(When::Write(write), Failure::AnswerLost);
                fault(When::WritesFrom(write + 1), Failure::Refused);
            }
        }
    }
}
