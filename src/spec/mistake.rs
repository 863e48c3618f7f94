//! The source of each setting, and mistakes in settings. What is a mistake is decided elsewhere.

use std::fmt;
use std::sync::Arc;

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file's path, as messages show it.
    pub file: Arc<str>,
    /// Line number, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Place {
    /// Returns the place of a byte offset in a text. An offset within a character gives the place after that character,
    /// and one beyond the end gives the end.
    #[must_use]
    pub fn of(file: &Arc<str>, text: &str, offset: usize) -> Self {
        let before = text.char_indices().take_while(|(at, _)| *at < offset);
        let (mut line, mut column) = (1, 1);
        for (_, character) in before {
            if character == '\n' {
                (line, column) = (line + 1, 1);
            } else {
                column += 1;
            }
        }
        Self {
            file: Arc::clone(file),
            line,
            column,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Where a value came from: the layers of the settings, from the lowest to the highest.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The built-in default: nobody ever set it.
    #[default]
    Default,
    /// The record of the cluster: an earlier `up` set it, and nothing sets it now.
    Record,
    /// A place in a file.
    File(Place),
    /// A flag or its environment variable, by name (`--port`, `KINDREG_PORT`).
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Record => f.write_str("the last `kindreg up`"),
            Self::File(place) => place.fmt(f),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// The value of a setting with its source, so that a mistake found later can point to the place where it was set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given<T> {
    /// The value.
    pub value: T,
    /// Its source.
    pub from: Source,
}

impl<T> Given<T> {
    /// Returns a value from this source.
    pub const fn new(value: T, from: Source) -> Self {
        Self { value, from }
    }

    /// Returns whether the user sets it now, in a file or by a flag.
    #[must_use]
    pub const fn is_given(&self) -> bool {
        match self.from {
            Source::Default | Source::Record => false,
            Source::File(_) | Source::Flag(_) => true,
        }
    }

    /// Returns whether it is the recorded value, because the user sets none now.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.from == Source::Record
    }

    /// Takes the recorded value, unless the user sets another one now.
    pub fn keep(&mut self, recorded: T) {
        if !self.is_given() {
            *self = Self::new(recorded, Source::Record);
        }
    }
}

/// A mistake in the settings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// The setting's source.
    pub at: Source,
    /// What is wrong, with the rule that it breaks.
    pub what: String,
    /// How to fix it.
    pub advice: Option<String>,
}

impl Mistake {
    /// Returns a mistake whose fix is obvious from `what`.
    pub fn new(at: &Source, what: impl Into<String>) -> Self {
        Self {
            at: at.clone(),
            what: what.into(),
            advice: None,
        }
    }

    /// Adds how to fix it.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.what)?;
        match &self.advice {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

/// Returns the known word that a mistyped one probably means; `None` if no known word is near.
#[must_use]
pub fn nearest<'a>(typed: &str, known: &[&'a str]) -> Option<&'a str> {
    // Computing the distance takes time in the product of both lengths, and no known word is near a long one.
    if typed.len() > 40 {
        return None;
    }
    let typed = typed.to_lowercase().replace('-', "_");
    let distance = |word: &str| strsim::damerau_levenshtein(&typed, word);
    known
        .iter()
        .map(|word| (distance(word), *word))
        .filter(|(distance, word)| *distance <= word.len() * 2 / 5)
        .min()
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_lines_and_characters_from_one() {
        let file = Arc::from("f");
        let text = "a = 1\nä = 2\n";
        let at = |offset| {
            let place = Place::of(&file, text, offset);
            (place.line, place.column)
        };
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(6), (2, 1));
        assert_eq!(at(text.find('2').unwrap()), (2, 5));
        assert_eq!(at(1000), (3, 1));
    }

    #[test]
    fn nearest_finds_a_typing_error_but_no_unrelated_word() {
        let known = ["workers", "image", "name"];
        assert_eq!(nearest("worker", &known), Some("workers"));
        assert_eq!(nearest("Wrokers", &known), Some("workers"));
        assert_eq!(nearest("nmae", &known), Some("name"));
        assert_eq!(nearest("registry", &known), None);
        assert_eq!(nearest("registries", &["registry"]), Some("registry"));
        assert_eq!(nearest(&"w".repeat(1000), &known), None);
    }
}
