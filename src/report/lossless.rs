//! Bytes as text that gives back the same bytes: for paths, labels and file contents in the journal.
//!
//! `\\` is a backslash, `\xNN` any byte that is not printable text; everything else stands for itself.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Writes bytes as text.
pub fn encode(bytes: &[u8]) -> String {
    super::escape_bytes(bytes)
}

/// Reads what [`encode`] wrote; `None` if it is not such a text.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        match chars.next()? {
            '\\' => out.push(b'\\'),
            'n' => out.push(b'\n'),
            't' => out.push(b'\t'),
            'r' => out.push(b'\r'),
            'x' => {
                let hex: String = [chars.next()?, chars.next()?].into_iter().collect();
                out.push(u8::from_str_radix(&hex, 16).ok()?);
            }
            'u' => {
                let hex: String = chars.by_ref().skip(1).take_while(|c| *c != '}').collect();
                let c = char::from_u32(u32::from_str_radix(&hex, 16).ok()?)?;
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => return None,
        }
    }
    Some(out)
}

/// For serde: a path.
pub mod path {
    use super::{OsStrExt, OsString, OsStringExt, Path, PathBuf, decode, encode};
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    /// Writes a path.
    pub fn serialize<S: Serializer>(p: &Path, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&encode(p.as_os_str().as_bytes()))
    }

    /// Reads a path.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<PathBuf, D::Error> {
        let text = String::deserialize(d)?;
        let bytes = decode(&text).ok_or_else(|| D::Error::custom("a path with a bad escape"))?;
        Ok(PathBuf::from(OsString::from_vec(bytes)))
    }
}

/// For serde: bytes.
pub mod bytes {
    use super::{decode, encode};
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    /// Writes bytes.
    pub fn serialize<S: Serializer>(b: &[u8], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&encode(b))
    }

    /// Reads bytes.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(d)?;
        decode(&text).ok_or_else(|| D::Error::custom("bytes with a bad escape"))
    }
}

/// For serde: bytes that may be absent.
pub mod option {
    use super::{decode, encode};
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    /// Writes bytes or null.
    pub fn serialize<S: Serializer>(b: &Option<Vec<u8>>, s: S) -> Result<S::Ok, S::Error> {
        match b {
            Some(b) => s.serialize_str(&encode(b)),
            None => s.serialize_none(),
        }
    }

    /// Reads bytes or null.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Vec<u8>>, D::Error> {
        Option::<String>::deserialize(d)?
            .map(|t| decode(&t).ok_or_else(|| D::Error::custom("bytes with a bad escape")))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_come_back(bytes: Vec<u8>) {
            prop_assert_eq!(super::decode(&super::encode(&bytes)), Some(bytes));
        }

        #[test]
        fn any_text_comes_back(text: String) {
            prop_assert_eq!(super::decode(&super::encode(text.as_bytes())), Some(text.into_bytes()));
        }
    }
}
