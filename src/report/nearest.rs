//! The names that were probably meant.

/// Longer words are not compared: the time goes with the square of the length, and words come from logs.
const LONGEST: usize = 64;

/// The candidate nearest to `word`, if it is near enough to have been meant (see [`near`]).
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    near(word, candidates).into_iter().next()
}

/// The candidates that may have been meant by `word`, nearest first, at most three: those that `word` begins, if it has
/// three letters or more (it may have been cut), then those at most one edit in three characters away.
/// An edit is an insertion, a deletion, a replacement, or two neighbours exchanged; case and `-` for `_` are free.
pub fn near<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let fold = |s: &str| -> String {
        s.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
    };
    if word.is_empty() || word.len() > LONGEST {
        return Vec::new();
    }
    let folded = fold(word);
    let length = folded.chars().count();
    let allowed = (length / 3).max(1);
    let mut found: Vec<(usize, usize, &str)> = candidates
        .into_iter()
        .filter(|c| c.len() <= LONGEST)
        .filter_map(|c| {
            let candidate = fold(c);
            if length >= 3 && candidate.starts_with(&folded) {
                return Some((0, c.len().abs_diff(word.len()), c));
            }
            let distance = strsim::osa_distance(&folded, &candidate);
            (distance <= allowed && distance < length).then_some((distance, c.len().abs_diff(word.len()), c))
        })
        .collect();
    // Names at the same distance stay in the order that their owner gave them.
    found.sort_by_key(|(distance, longer, _)| (*distance, *longer));
    found.truncate(3);
    found.into_iter().map(|(_, _, c)| c).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelling_finds_its_word_and_a_stranger_does_not() {
        let keys = ["access", "acl", "default_acl", "mode", "owner", "recursive"];
        for (typed, meant) in [
            ("acess", Some("access")),
            ("ACCESS", Some("access")),
            ("acces", Some("access")),
            ("owenr", Some("owner")),
            ("default-acl", Some("default_acl")),
            ("default", Some("default_acl")),
            ("recursvie", Some("recursive")),
            ("mdoe", Some("mode")),
            ("permissions", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, keys), meant, "{typed}");
        }
        assert_eq!(nearest(&"a".repeat(1 << 20), keys), None);
        assert_eq!(
            near("httpd_t", ["httpd_tmp_t", "http_t", "httpd_t2", "sshd_t"]),
            ["httpd_t2", "httpd_tmp_t", "http_t"]
        );
    }
}
