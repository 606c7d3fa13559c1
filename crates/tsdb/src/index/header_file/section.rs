//! Reading a section of an index while it comes, in pieces of any size.
//!
//! ```text
//! be32   length of what follows, without the checksum
//! be32   how many entries
//!        the entries
//! be32   crc32 of the count and the entries
//! ```

use super::super::FILE;
use crate::{
    codec::{CRC_LEN, Fault, Input, Stop, check_sum},
    error::{Error, Result},
};

/// Length and count.
const HEAD: usize = 8;

/// A section of which a part has arrived.
#[derive(Debug)]
pub(super) struct Section {
    what: &'static str,
    /// The bytes that have arrived and are not read yet.
    pending: Vec<u8>,
    /// The offset of `pending` in the index.
    at: u64,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Head,
    Entries {
        /// The numbers of entries and of bytes still to come.
        count: u32,
        left: u64,
        /// The checksum of what was read.
        crc: u32,
    },
    Crc {
        computed: u32,
    },
    Done,
}

impl Section {
    /// A section that starts at `offset` of the index.
    pub(super) fn new(what: &'static str, offset: u64) -> Self {
        Self {
            what,
            pending: Vec::new(),
            at: offset,
            state: State::Head,
        }
    }

    /// Takes the next bytes; `each` reads one entry, and is called again with more bytes if they end too early.
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(&mut Input<'_>) -> Result<(), Stop>,
    ) -> Result<()> {
        self.pending.extend_from_slice(bytes);
        loop {
            self.state = match self.state {
                State::Head if self.pending.len() >= HEAD => self.head()?,
                State::Entries { count, left, crc } => {
                    match self.entries(count, left, crc, &mut each)? {
                        still @ State::Entries { .. } => {
                            self.state = still;
                            return Ok(());
                        }
                        next => next,
                    }
                }
                State::Crc { computed } if self.pending.len() >= CRC_LEN => self.check(computed)?,
                State::Done => {
                    // Padding may follow up to the next section.
                    self.pending.clear();
                    return Ok(());
                }
                State::Head | State::Crc { .. } => return Ok(()),
            };
        }
    }

    /// Whether everything has arrived.
    pub(super) fn finish(&self) -> Result<()> {
        let missing = match self.state {
            State::Done => return Ok(()),
            State::Entries { left, .. } => left.saturating_sub(self.pending.len() as u64).max(1),
            State::Head | State::Crc { .. } => 1,
        };
        Err(self.fail(
            &Input::new(&self.pending, self.at),
            Fault::End { missing }.into(),
        ))
    }

    fn head(&mut self) -> Result<State> {
        let mut input = Input::new(&self.pending, self.at);
        let read = |input: &mut Input<'_>| {
            let len = input.be32()?;
            let left = len.checked_sub(4).ok_or(Fault::Bad {
                expected: "4 bytes or more",
                found: len.into(),
            })?;
            Ok((u64::from(left), input.be32()?))
        };
        let (left, count) =
            read(&mut input).map_err(|fault: Fault| self.fail(&input, fault.into()))?;
        let crc = crc32c::crc32c(&count.to_be_bytes());
        self.forget(HEAD);
        Ok(State::Entries { count, left, crc })
    }

    fn entries(
        &mut self,
        mut count: u32,
        left: u64,
        crc: u32,
        each: &mut impl FnMut(&mut Input<'_>) -> Result<(), Stop>,
    ) -> Result<State> {
        let here =
            usize::try_from(left).map_or(self.pending.len(), |left| left.min(self.pending.len()));
        let window = self.pending.get(..here).unwrap_or_default();
        let whole = here as u64 == left;
        let mut input = Input::new(window, self.at);
        while count > 0 {
            let before = input.clone();
            match each(&mut input) {
                Ok(()) => count -= 1,
                Err(Stop::Fault(Fault::End { .. })) if !whole => {
                    input = before;
                    break;
                }
                Err(stop) => return Err(self.fail(&input, stop)),
            }
        }
        let used = here - input.len();
        if count == 0 && used as u64 != left {
            let expected = format!("the end of the entries of {}", self.what);
            let found = format!("{} bytes more", left - used as u64);
            return Err(Error::corrupt(FILE, input.offset(), expected, found));
        }
        let crc = crc32c::crc32c_append(crc, window.get(..used).unwrap_or_default());
        self.forget(used);
        Ok(if count == 0 {
            State::Crc { computed: crc }
        } else {
            let left = left - used as u64;
            State::Entries { count, left, crc }
        })
    }

    fn check(&mut self, computed: u32) -> Result<State> {
        let mut input = Input::new(&self.pending, self.at);
        let stored = input
            .be32()
            .map_err(|fault| self.fail(&input, fault.into()))?;
        check_sum(FILE, self.at, self.what, computed, stored)?;
        Ok(State::Done)
    }

    fn forget(&mut self, read: usize) {
        self.pending.drain(..read);
        self.at += read as u64;
    }

    fn fail(&self, input: &Input<'_>, stop: Stop) -> Error {
        input.stopped(FILE, self.what, stop)
    }
}
