//! The three rights: read, write, execute (or search, on a folder).

use std::fmt;
use std::ops::{BitAnd, BitAndAssign, BitOr, BitOrAssign, Not};

/// A set of the rights r (4), w (2), x (1). Shown as `rw-`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Perms(u8);

impl Perms {
    /// `---`
    pub const NONE: Perms = Perms(0);
    /// `--x`
    pub const X: Perms = Perms(1);
    /// `-w-`
    pub const W: Perms = Perms(2);
    /// `-wx`
    pub const WX: Perms = Perms(3);
    /// `r--`
    pub const R: Perms = Perms(4);
    /// `r-x`
    pub const RX: Perms = Perms(5);
    /// `rw-`
    pub const RW: Perms = Perms(6);
    /// `rwx`
    pub const RWX: Perms = Perms(7);

    /// The set of these bits (r 4, w 2, x 1); higher ones are dropped.
    pub const fn from_bits(bits: u8) -> Perms {
        Perms(bits & 7)
    }

    /// The rights of owner, group and others in the nine lowest bits of a mode.
    pub const fn of_mode(mode: u16) -> [Perms; 3] {
        let [_, low] = mode.to_be_bytes();
        let [_, high] = (mode >> 3).to_be_bytes();
        let [_, highest] = (mode >> 6).to_be_bytes();
        [Perms::from_bits(highest), Perms::from_bits(high), Perms::from_bits(low)]
    }

    /// r 4, w 2, x 1.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether it has every right of `other`.
    pub const fn contains(self, other: Perms) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether it has no right.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What it has and `other` has not.
    pub const fn without(self, other: Perms) -> Perms {
        Perms(self.0 & !other.0)
    }

    /// Its rights one by one: of r, w, x those that it has.
    pub fn singles(self) -> impl Iterator<Item = Perms> {
        [Perms::R, Perms::W, Perms::X].into_iter().filter(move |p| self.contains(*p))
    }
}

impl BitOr for Perms {
    type Output = Perms;
    fn bitor(self, other: Perms) -> Perms {
        Perms(self.0 | other.0)
    }
}

impl BitOrAssign for Perms {
    fn bitor_assign(&mut self, other: Perms) {
        *self = *self | other;
    }
}

impl BitAnd for Perms {
    type Output = Perms;
    fn bitand(self, other: Perms) -> Perms {
        Perms(self.0 & other.0)
    }
}

impl BitAndAssign for Perms {
    fn bitand_assign(&mut self, other: Perms) {
        *self = *self & other;
    }
}

impl Not for Perms {
    type Output = Perms;
    fn not(self) -> Perms {
        Perms::RWX.without(self)
    }
}

impl fmt::Display for Perms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self.0 {
            0 => "---",
            1 => "--x",
            2 => "-w-",
            3 => "-wx",
            4 => "r--",
            5 => "r-x",
            6 => "rw-",
            _ => "rwx",
        })
    }
}

impl fmt::Debug for Perms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
