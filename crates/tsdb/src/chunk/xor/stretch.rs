//! The fast way through a chunk of floats: stretches of samples as most are.
//!
//! A decoder's time is that of the chain from one sample's place to the next, and of branches that are foreseen
//! wrongly. So here the kinds of samples are told apart by branches, which lets the processor go ahead as long as
//! one is like the one before; floats in the same place of bits are taken from one word as long as it has them;
//! and while the step in time stays, times are not looked at, but filled in at its end.
//!
//! What is rare is left to the way that [`Last::read`] goes: a step in time of more than 14 bits, what is wrong, and
//! the last eight bytes.

use super::{
    super::{
        reader::{BitReader, PEEK},
        window::Window,
    },
    decode::{Last, Slots},
};

/// Bits of a sample whose step in time is another and whose float is the same.
const STEP: u32 = 17;

/// So many places are written at once when fewer are to be: what is too much is written over later.
const WIDE: usize = 8;

/// Where the significant bits of a float are.
#[derive(Clone, Copy)]
struct Bits {
    window: Window,
    /// As many ones as are significant, the highest bits.
    mask: u64,
}

impl Last {
    /// Reads samples until all slots are filled, or something comes that is rare.
    pub(super) fn read_stretch(&mut self, input: &mut BitReader<'_>, out: &mut Slots<'_>) {
        let mut at = input.clone();
        let Self {
            mut time,
            mut delta,
            mut bits,
            window,
        } = *self;
        let mut place = Bits::of(window);
        let (times, values, mut i) = (&mut *out.times, &mut *out.values, out.filled);

        'rare: while let Some(mut word) = at.peek_whole()
            && i < values.len()
        {
            if word >> 63 == 0 {
                let start = i;
                // Whether another step in time comes behind.
                let goes_on = loop {
                    if word >> 61 == 0b010 {
                        // The float's bits are where those of the last were.
                        let len = 3 + place.window.significant;
                        if len > PEEK {
                            let mut ahead = at.clone();
                            ahead.skip(3);
                            let (Some(float), Some(slot)) =
                                (place.peek_float(&ahead), values.get_mut(i))
                            else {
                                break false;
                            };
                            bits ^= place.xor(float);
                            at.skip(len);
                            *slot = f64::from_bits(bits);
                            i += 1;
                        } else {
                            let mut left = PEEK - len;
                            while let Some(slot) = values.get_mut(i) {
                                bits ^= place.xor(word << 3);
                                at.skip(len);
                                *slot = f64::from_bits(bits);
                                i += 1;
                                word <<= len;
                                if left < len || word >> 61 != 0b010 {
                                    break;
                                }
                                left -= len;
                            }
                        }
                    } else if word >> 62 == 0 {
                        // Two zero bits are the same step in time and the same float once more.
                        let run = word.leading_zeros().min(PEEK) / 2;
                        let len = (run as usize).min(values.len() - i);
                        repeat(values, i, len, f64::from_bits(bits));
                        at.skip_bits(2 * len);
                        i += len;
                    } else if word >> 63 == 0 {
                        let mut ahead = at.clone();
                        let next = place.read_new(word << 1, 1, &mut ahead);
                        let (Some((next, xor)), Some(slot)) = (next, values.get_mut(i)) else {
                            break false;
                        };
                        (place, at) = (next, ahead);
                        bits ^= xor;
                        *slot = f64::from_bits(bits);
                        i += 1;
                    } else {
                        break true;
                    }
                    match at.peek_whole() {
                        Some(next) if i < values.len() => word = next,
                        _ => break false,
                    }
                };
                time = progress(times, start, i, time, delta);
                if !goes_on {
                    break 'rare;
                }
            }
            // Samples that each begin with another step in time.
            let mut left = PEEK;
            while word >> 62 == 0b10 {
                let (Some(t), Some(v)) = (times.get_mut(i), values.get_mut(i)) else {
                    break 'rare;
                };
                let difference = short_difference(word);
                let float = word << (STEP - 1);
                let is_same = float >> 63 == 0;
                if is_same {
                    at.skip(STEP);
                } else {
                    let mut ahead = at.clone();
                    let next = if float >> 62 == 0b10 {
                        let header = STEP + 1;
                        ahead.skip(header);
                        let fits = header + place.window.significant <= left;
                        let float = if fits {
                            Some(float << 2)
                        } else {
                            place.peek_float(&ahead)
                        };
                        ahead.skip(place.window.significant);
                        float.map(|float| (place, place.xor(float)))
                    } else if let Some(word) = at.peek_whole() {
                        place.read_new(word << (STEP - 1), STEP - 1, &mut ahead)
                    } else {
                        None
                    };
                    let Some((next, xor)) = next else {
                        break 'rare;
                    };
                    (place, at) = (next, ahead);
                    bits ^= xor;
                }
                delta = delta.wrapping_add(difference);
                time = time.wrapping_add(delta);
                (*t, *v) = (time, f64::from_bits(bits));
                i += 1;
                if is_same && left >= 2 * STEP {
                    left -= STEP;
                    word <<= STEP;
                } else {
                    match at.peek_whole() {
                        Some(next) => (word, left) = (next, PEEK),
                        None => break 'rare,
                    }
                }
            }
            if word >> 63 != 0 {
                break;
            }
        }

        out.filled = i;
        *input = at;
        *self = Self {
            time,
            delta,
            bits,
            window: place.window,
        };
    }
}

impl Bits {
    fn of(window: Window) -> Self {
        Self {
            window,
            mask: u64::MAX.unbounded_shl(64 - window.significant),
        }
    }

    /// What a float differs by from the one before, when `word` begins with its significant bits.
    #[inline]
    fn xor(self, word: u64) -> u64 {
        (word & self.mask) >> self.window.leading
    }

    /// A word that begins with the significant bits of the float that comes next.
    #[inline]
    fn peek_float(self, input: &BitReader<'_>) -> Option<u64> {
        let word = input.peek_whole()?;
        if self.window.significant <= PEEK {
            return Some(word);
        }
        let mut behind = input.clone();
        behind.skip(32);
        Some(word >> 32 << 32 | behind.peek_whole()? >> 32)
    }

    /// The place of bits that `word` names, which `before` bits ahead of `input` begins, and what the float there
    /// differs by.
    #[inline]
    fn read_new(self, word: u64, before: u32, input: &mut BitReader<'_>) -> Option<(Self, u64)> {
        let (window, header) = self.window.next(word);
        if window.leading + window.significant > 64 {
            return None;
        }
        let place = Self::of(window);
        let fits = before + header + window.significant <= PEEK;
        input.skip(before + header);
        let float = if fits {
            word << header
        } else {
            place.peek_float(input)?
        };
        input.skip(window.significant);
        Some((place, place.xor(float)))
    }
}

/// How much farther the time is that `word` begins with: `10` and fourteen bits.
#[inline]
fn short_difference(word: u64) -> i64 {
    // The numbers go from -8191 to 8192, those of the processor from -8192 to 8191.
    let number = (word << 2).wrapping_sub(1 << 50);
    (number.cast_signed() >> 50) + 1
}

/// Writes `len` floats from the place `start` on.
#[inline]
pub(super) fn repeat(values: &mut [f64], start: usize, len: usize, value: f64) {
    let wide = if len <= WIDE { WIDE } else { len };
    if let Some(slots) = values.get_mut(start..start + wide) {
        slots.fill(value);
    } else if let Some(slots) = values.get_mut(start..start + len) {
        slots.fill(value);
    }
}

/// Writes the times of the places from `start` to `end`, each so much after the one before; gives the last.
#[inline]
pub(super) fn progress(times: &mut [i64], start: usize, end: usize, time: i64, delta: i64) -> i64 {
    let mut next = time;
    let mut write = |times: &mut [i64]| {
        for slot in times {
            next = next.wrapping_add(delta);
            *slot = next;
        }
    };
    if end - start <= WIDE
        && let Some(slots) = times.get_mut(start..start + WIDE)
    {
        write(slots);
    } else if let Some(slots) = times.get_mut(start..end) {
        write(slots);
    }
    let steps = (end - start) as u64;
    time.wrapping_add(delta.wrapping_mul(steps.cast_signed()))
}
