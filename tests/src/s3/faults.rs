//! What goes wrong, and when.

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Reads an object or a range of it.
    Get,
    /// Asks for an object's size.
    Head,
    /// Lists keys.
    List,
    /// Writes an object.
    Put,
    /// Copies an object.
    Copy,
    /// Deletes an object, or one of several that one request names.
    Delete,
    /// Begins an upload in parts.
    CreateMultipart,
    /// Writes a part.
    UploadPart,
    /// Makes an object of parts.
    CompleteMultipart,
    /// Gives up an upload in parts.
    AbortMultipart,
}

/// What an operation does to the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing.
    Read,
    /// It changes.
    Write,
}

/// A request that reached the bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What it does.
    pub operation: Operation,
    /// The object's key; the prefix of a list.
    pub key: String,
}

/// Something that goes wrong.
#[derive(Clone, Debug)]
pub struct Fault {
    /// When.
    pub when: When,
    /// How.
    pub failure: Failure,
}

/// Which requests a fault hits.
#[derive(Clone, Debug)]
pub enum When {
    /// The write with this number, counted from 0.
    Write(usize),
    /// That write and all behind it.
    WritesFrom(usize),
    /// All reads of objects whose keys end so.
    Reads(String),
    /// All writes of objects whose keys end so.
    Writes(String),
    /// The next so many requests of one kind.
    Next(Operation, usize),
    /// The next so many GETs of objects whose keys end so.
    NextGets(String, usize),
}

/// What becomes of a request that a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Status 403, which no client takes for passing: as good as being killed before the request.
    Refused,
    /// Done, yet answered with 403: as good as being killed behind the request.
    AnswerLost,
    /// Status 503, for which clients try again.
    Unavailable,
    /// Status 429, for which clients try again.
    TooMany,
    /// The body of the answer to a GET comes in pieces of so many bytes, with pauses.
    Slow(usize),
    /// The answer to a GET does not say how long it is: its body comes in chunks.
    Chunked,
    /// No answer comes, as long as the client waits.
    Hang,
    /// The body stops behind so many bytes, if it is the answer to a GET, and the connection stays.
    Stalled(usize),
    /// The lowest bit of a byte of the body is turned over, if it is the answer to a GET: the one with this number for the
    /// first request, the next one for the next, counted on from the start where the body ends.
    Flipped(usize),
    /// The connection ends behind so many bytes of the body, if it is the answer to a GET.
    CutOff(usize),
}

/// The faults, and how often each was asked.
#[derive(Debug, Default)]
pub(super) struct Faults {
    faults: Vec<Counted>,
    hits: usize,
}

#[derive(Debug)]
struct Counted {
    fault: Fault,
    /// Requests so far that the fault counts.
    seen: usize,
}

impl Operation {
    /// What it does to the bucket.
    #[must_use]
    pub const fn access(self) -> Access {
        match self {
            Self::Get | Self::Head | Self::List => Access::Read,
            _ => Access::Write,
        }
    }
}

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        self.faults.push(Counted { fault, seen: 0 });
    }

    /// Removes all, and says how many requests they hit.
    pub(super) fn clear(&mut self) -> usize {
        self.faults.clear();
        std::mem::take(&mut self.hits)
    }

    /// What becomes of a request; the first fault that hits decides, but all count.
    pub(super) fn failure(&mut self, request: &Request) -> Option<Failure> {
        let mut first = None;
        for counted in &mut self.faults {
            if counted.hits(request) {
                first = first.or(Some(counted.failure()));
            }
        }
        self.hits += usize::from(first.is_some());
        first
    }
}

impl Counted {
    /// What becomes of the request that was counted last.
    const fn failure(&self) -> Failure {
        match self.fault.failure {
            Failure::Flipped(at) => Failure::Flipped(at.wrapping_add(self.seen).wrapping_sub(1)),
            other => other,
        }
    }

    fn hits(&mut self, request: &Request) -> bool {
        let access = request.operation.access();
        let counts = match &self.fault.when {
            When::Write(_) | When::WritesFrom(_) => access == Access::Write,
            When::Reads(suffix) => access == Access::Read && request.key.ends_with(suffix),
            When::Writes(suffix) => access == Access::Write && request.key.ends_with(suffix),
            When::Next(operation, _) => request.operation == *operation,
            When::NextGets(suffix, _) => {
                request.operation == Operation::Get && request.key.ends_with(suffix)
            }
        };
        if !counts {
            return false;
        }
        let number = self.seen;
        self.seen += 1;
        match &self.fault.when {
            When::Write(n) => number == *n,
            When::WritesFrom(n) => number >= *n,
            When::Reads(_) | When::Writes(_) => true,
            When::Next(_, n) | When::NextGets(_, n) => number < *n,
        }
    }
}
