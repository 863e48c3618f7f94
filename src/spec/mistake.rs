//! Where a value came from, and what is wrong with it. Nothing here decides what is right.

use std::fmt;
use std::sync::Arc;

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, as its path is to be shown.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Place {
    /// The place of a byte of a text. An offset beyond its end, or within a character, is that of what precedes it.
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

/// Where a value came from.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Nobody gave it.
    #[default]
    Default,
    /// A file.
    File(Place),
    /// A flag, or the environment variable that stands for it, by its name (`--port`, `KINDREG_PORT`).
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(place) => place.fmt(f),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// A value and where it came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub from: Source,
}

impl<T> Given<T> {
    /// A value from somewhere.
    pub const fn new(value: T, from: Source) -> Self {
        Self { value, from }
    }

    /// Whether somebody gave it.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.from != Source::Default
    }
}

/// Something wrong with what was asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// Where.
    pub at: Source,
    /// What, with the rule that it breaks.
    pub what: String,
    /// What to write in its place.
    pub advice: Option<String>,
}

impl Mistake {
    /// A mistake whose remedy goes without saying.
    pub fn new(at: &Source, what: impl Into<String>) -> Self {
        Self {
            at: at.clone(),
            what: what.into(),
            advice: None,
        }
    }

    /// The same, with what to write in its place.
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

/// The known word that a mistyped one was probably meant to be.
#[must_use]
pub fn nearest<'a>(typed: &str, known: &[&'a str]) -> Option<&'a str> {
    // The distance takes time in the product of both lengths, and nothing long is near.
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
    fn a_typing_error_is_told_from_another_word() {
        let known = ["workers", "image", "name"];
        assert_eq!(nearest("worker", &known), Some("workers"));
        assert_eq!(nearest("Wrokers", &known), Some("workers"));
        assert_eq!(nearest("nmae", &known), Some("name"));
        assert_eq!(nearest("registry", &known), None);
        assert_eq!(nearest("registries", &["registry"]), Some("registry"));
        assert_eq!(nearest(&"w".repeat(1000), &known), None);
    }
}
