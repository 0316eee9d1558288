//! A context on disk beside the expected one.

/// How they compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// As expected.
    Equal,
    /// The type is right; user, role or level is another. `restorecon` without `-F` leaves it.
    TypeOnly,
    /// The type is another, one that administrators may choose (customizable_types): `restorecon` without `-F` leaves
    /// it.
    Customized,
    /// The type is another.
    Wrong,
}

/// Compares the context of a file with the one it should have.
///
/// `customizable` tells the types of `contexts/customizable_types`.
pub fn compare(is: &[u8], should: &[u8], customizable: impl Fn(&[u8]) -> bool) -> Comparison {
    if is == should {
        return Comparison::Equal;
    }
    match (type_of(is), type_of(should)) {
        (Some(is), Some(should)) if is == should => Comparison::TypeOnly,
        (Some(is), _) if customizable(is) => Comparison::Customized,
        _ => Comparison::Wrong,
    }
}

/// The type in a context, `user:role:type[:level]`.
pub fn type_of(context: &[u8]) -> Option<&[u8]> {
    context.split(|b| *b == b':').nth(2).filter(|t| !t.is_empty())
}

/// Reads customizable_types: one type a line.
pub fn customizable_types(text: &[u8]) -> Vec<&[u8]> {
    text.split(|b| *b == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|t| !t.is_empty() && !t.starts_with(b"#"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_weigh_more_than_levels() {
        let custom = |t: &[u8]| customizable_types(b"public_content_t\n\nswapfile_t\n").contains(&t);
        for (is, should, expected) in [
            ("u:r:t:s0", "u:r:t:s0", Comparison::Equal),
            ("v:r:t:s0", "u:r:t:s0", Comparison::TypeOnly),
            ("u:r:t:s0:c1", "u:r:t:s0", Comparison::TypeOnly),
            ("u:r:swapfile_t:s0", "u:r:t:s0", Comparison::Customized),
            ("u:r:x:s0", "u:r:t:s0", Comparison::Wrong),
            ("nonsense", "u:r:t:s0", Comparison::Wrong),
        ] {
            assert_eq!(compare(is.as_bytes(), should.as_bytes(), custom), expected, "{is}");
        }
    }
}
