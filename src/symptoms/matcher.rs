//! Finds the symptoms of the catalogue in a text.

use super::catalogue::ALL;
use super::{Meaning, Origin, Symptom};

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
