//! Finds the symptoms of the catalogue in a text.

use super::catalogue::ALL;
use super::{Meaning, Origin, Symptom};

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

    fn are_in(&self, text: &str) -> bool {
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

impl Symptom {
    /// Whether a text shows this symptom, whatever else it shows.
    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        self.words.are_in(text)
    }
}

/// Returns the most specific symptom that a text shows.
#[must_use]
pub fn find(text: &str) -> Option<&'static Symptom> {
    ALL.into_iter().find(|symptom| symptom.is_in(text))
}

/// Returns the most specific symptom that the failure of a pull or push shows.
///
/// Only what nodes and registries say counts: an engine's "already exists" means something else when a node says it.
#[must_use]
pub fn find_in_pull(text: &str) -> Option<&'static Symptom> {
    ALL.into_iter().find(|symptom| {
        matches!(symptom.code.origin(), Origin::Node | Origin::Registry) && symptom.is_in(text)
    })
}

/// Whether a text shows a symptom with that meaning, whatever else it shows.
#[must_use]
pub fn shows(text: &str, meaning: Meaning) -> bool {
    ALL.into_iter()
        .any(|symptom| symptom.meaning == meaning && symptom.is_in(text))
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

    #[test]
    fn an_unknown_text_shows_nothing() {
        for text in ["", "boom"] {
            assert!(find(text).is_none() && find_in_pull(text).is_none());
        }
    }

    #[test]
    fn an_engine_s_words_mean_nothing_in_a_pull() {
        let text = "container already exists";
        assert!(find(text).is_some() && find_in_pull(text).is_none());
    }

    #[test]
    fn the_most_specific_symptom_is_found_first_and_others_are_still_shown() {
        let text = "endpoint with name x already exists in network y";
        assert_eq!(
            find(text).map(|found| found.meaning),
            Some(Meaning::Connected)
        );
        assert!(shows(text, Meaning::NameTaken));
    }
}
