//! The words by which a symptom is known. Decides nothing about symptoms.

/// The words by which a symptom is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words {
    /// The text has one of these.
    any: &'static [&'static str],
    /// And one of these, unless there are none.
    and: &'static [&'static str],
    /// And none of these.
    without: &'static [&'static str],
    case: Case,
}

/// Whether capitals count.
#[derive(Debug, Clone, Copy)]
enum Case {
    AsWritten,
    Any,
}

impl Words {
    /// One of these words.
    pub(super) const fn any(any: &'static [&'static str]) -> Self {
        Self {
            any,
            and: &[],
            without: &[],
            case: Case::AsWritten,
        }
    }

    /// And one of these.
    pub(super) const fn and(self, and: &'static [&'static str]) -> Self {
        Self { and, ..self }
    }

    /// And none of these.
    pub(super) const fn without(self, without: &'static [&'static str]) -> Self {
        Self { without, ..self }
    }

    /// In capitals or not; the words themselves are given in lower case.
    pub(super) const fn in_any_case(self) -> Self {
        Self {
            case: Case::Any,
            ..self
        }
    }

    /// Whether a text has them.
    pub(super) fn are_in(&self, text: &str) -> bool {
        match self.case {
            Case::AsWritten => self.hold(text),
            Case::Any => self.hold(&text.to_lowercase()),
        }
    }

    fn hold(&self, text: &str) -> bool {
        let has_one = |words: &[&str]| words.iter().any(|&words| text.contains(words));
        has_one(self.any) && (self.and.is_empty() || has_one(self.and)) && !has_one(self.without)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_match_by_group_and_case() {
        let words = Words::any(&["a", "b"]).and(&["c", "d"]).without(&["e"]);
        for (text, matches) in [
            ("a d", true),
            ("b c", true),
            ("a b", false),
            ("c d", false),
            ("a c e", false),
            ("A C", false),
        ] {
            assert_eq!(words.are_in(text), matches, "{text}");
        }
        assert!(words.in_any_case().are_in("A C"));
        assert!(Words::any(&["a"]).are_in("a"));
    }
}
