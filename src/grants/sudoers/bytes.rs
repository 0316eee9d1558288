//! Short strings of bytes: a policy of ten thousand rules has fifty thousand words, and hardly one has 30 bytes.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

/// How many bytes need no memory of their own, so that a word takes 32 in all.
const INLINE: usize = 30;

/// Bytes of a word, escapes resolved. Sudoers knows no encoding. It is a slice for everything but its making.
#[derive(Clone)]
pub struct Bytes(Kept);

#[derive(Clone)]
enum Kept {
    Here { len: u8, bytes: [u8; INLINE] },
    There(Box<[u8]>),
}

impl Bytes {
    /// None.
    pub const EMPTY: Bytes = Bytes(Kept::Here { len: 0, bytes: [0; INLINE] });

    /// As text, for people and for comparison with names: bytes that are no UTF-8 become U+FFFD.
    pub fn lossy(&self) -> Cow<'_, str> {
        // Asked first whether it is text, since nearly all is, and that is the shorter question.
        std::str::from_utf8(self).map_or_else(|_| String::from_utf8_lossy(self), Cow::Borrowed)
    }

    /// If they are few enough.
    fn here(b: &[u8]) -> Option<Kept> {
        let len = u8::try_from(b.len()).ok()?;
        let mut bytes = [0; INLINE];
        bytes.get_mut(..b.len())?.copy_from_slice(b);
        Some(Kept::Here { len, bytes })
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Kept::Here { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or(bytes),
            Kept::There(bytes) => bytes,
        }
    }
}

impl Default for Bytes {
    fn default() -> Self {
        Bytes::EMPTY
    }
}

impl From<&[u8]> for Bytes {
    fn from(b: &[u8]) -> Self {
        Bytes(Bytes::here(b).unwrap_or_else(|| Kept::There(b.into())))
    }
}

impl<const N: usize> From<&[u8; N]> for Bytes {
    fn from(b: &[u8; N]) -> Self {
        Bytes::from(b.as_slice())
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(b: Vec<u8>) -> Self {
        Bytes(Bytes::here(&b).unwrap_or_else(|| Kept::There(b.into())))
    }
}

// As slices are compared and hashed, so that maps are asked with slices.
impl Borrow<[u8]> for Bytes {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Bytes) -> bool {
        **self == **other
    }
}

impl Eq for Bytes {}

impl PartialEq<[u8]> for Bytes {
    fn eq(&self, other: &[u8]) -> bool {
        **self == *other
    }
}

impl PartialEq<&[u8]> for Bytes {
    fn eq(&self, other: &&[u8]) -> bool {
        **self == **other
    }
}

impl<const N: usize> PartialEq<[u8; N]> for Bytes {
    fn eq(&self, other: &[u8; N]) -> bool {
        **self == *other
    }
}

impl<const N: usize> PartialEq<&[u8; N]> for Bytes {
    fn eq(&self, other: &&[u8; N]) -> bool {
        **self == **other
    }
}

impl Hash for Bytes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_any_length_they_are_what_they_were_made_of() {
        for n in [0, 1, INLINE - 1, INLINE, INLINE + 1, 300, 5000] {
            let b: Vec<u8> = (0..=250).cycle().take(n).collect();
            let (of_slice, of_vec) = (Bytes::from(b.as_slice()), Bytes::from(b.clone()));
            assert_eq!(of_slice, b.as_slice());
            assert_eq!(of_slice, of_vec);
            assert_eq!(of_slice.clone().to_vec(), b);
        }
        assert_eq!(size_of::<Bytes>(), 32);
        assert_eq!(size_of::<Option<Bytes>>(), 32);
    }
}
