//! Typed reading of a parsed TOML table. It never stops at a mistake: it notes it, and goes on.

use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Invalid;
use super::mistake::{Given, Mistake, Place, Source, nearest};

/// Reads values, and notes mistakes with their places.
pub(super) struct Reader<'a> {
    text: &'a str,
    file: Arc<str>,
    pub(super) mistakes: Vec<Mistake>,
}

/// A table with its name and the keys it may have.
pub(super) struct Section<'a> {
    title: &'a str,
    table: &'a DeTable<'a>,
    keys: &'a [&'a str],
}

impl<'a> Section<'a> {
    pub(super) const fn new(title: &'a str, table: &'a DeTable<'a>, keys: &'a [&'a str]) -> Self {
        Self { title, table, keys }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }
}

impl<'a> Reader<'a> {
    pub(super) const fn new(text: &'a str, file: Arc<str>) -> Self {
        Self {
            text,
            file,
            mistakes: Vec::new(),
        }
    }

    pub(super) fn source(&self, span: Range<usize>) -> Source {
        Source::File(Place::of(&self.file, self.text, span.start))
    }

    pub(super) fn mistake(&mut self, mistake: Mistake) {
        self.mistakes.push(mistake);
    }

    /// Notes every key that the section does not have. `elsewhere` are other sections, which it may have been meant for.
    pub(super) fn refuse_unknown(&mut self, section: &Section<'_>, elsewhere: &[(&str, &[&str])]) {
        for key in section.table.keys() {
            let name = key.get_ref().as_ref();
            if section.keys.contains(&name) {
                continue;
            }
            let home = elsewhere.iter().find(|(_, keys)| keys.contains(&name));
            let advice = match (nearest(name, section.keys), home) {
                (_, Some((title, _))) => format!("it belongs in {title}"),
                (Some(meant), None) => format!("did you mean `{meant}`?"),
                (None, None) => format!("there are {}", section.keys.join(", ")),
            };
            let at = self.source(key.span());
            let what = format!("unknown key `{}` in {}", name.escape_debug(), section.title);
            self.mistake(Mistake::new(&at, what).advise(advice));
        }
    }

    /// Notes those of these keys that the section has: it may have them, and not beside what else stands in it.
    pub(super) fn refuse(&mut self, section: &Section<'_>, keys: &[&str], advice: &str) {
        for key in section
            .table
            .keys()
            .filter(|key| keys.contains(&key.get_ref().as_ref()))
        {
            let at = self.source(key.span());
            let what = format!("`{}` is out of place in {}", key.get_ref(), section.title);
            self.mistake(Mistake::new(&at, what).advise(advice));
        }
    }

    /// A table; anything else of that name is a mistake.
    pub(super) fn table<'t>(
        &mut self,
        section: &Section<'t>,
        key: &str,
    ) -> Option<&'t DeTable<'t>> {
        let value = section.table.get(key)?;
        if let DeValue::Table(table) = value.get_ref() {
            return Some(table);
        }
        self.wrong_type(key, value, "a table")
    }

    /// A string that its type takes.
    pub(super) fn text<T: FromStr<Err = Invalid>>(
        &mut self,
        section: &Section<'_>,
        key: &str,
    ) -> Option<Given<T>> {
        let value = section.table.get(key)?;
        match value.get_ref() {
            DeValue::String(text) => self.parsed(text, value),
            _ => self.wrong_type(key, value, "a string"),
        }
    }

    /// A whole number that its type takes.
    pub(super) fn number<T: FromStr<Err = Invalid>>(
        &mut self,
        section: &Section<'_>,
        key: &str,
    ) -> Option<Given<T>> {
        let value = section.table.get(key)?;
        match decimal(value.get_ref()) {
            Some(number) => self.parsed(&number, value),
            None => self.wrong_type(key, value, "a whole number"),
        }
    }

    /// A string or a whole number that its type takes. A number in quotes is a mistake nevertheless.
    pub(super) fn text_or_number<T: FromStr<Err = Invalid>>(
        &mut self,
        section: &Section<'_>,
        key: &str,
    ) -> Option<Given<T>> {
        let value = section.table.get(key)?;
        match (value.get_ref(), decimal(value.get_ref())) {
            (_, Some(number)) => self.parsed(&number, value),
            (DeValue::String(text), None) if text.parse::<u64>().is_err() => {
                self.parsed(text, value)
            }
            _ => self.wrong_type(key, value, "a whole number"),
        }
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, section: &Section<'_>, key: &str) -> Option<Given<bool>> {
        let value = section.table.get(key)?;
        match value.get_ref() {
            DeValue::Boolean(flag) => Some(Given::new(*flag, self.source(value.span()))),
            _ => self.wrong_type(key, value, "true or false"),
        }
    }

    /// A list of strings that their type takes; none where the key is absent.
    pub(super) fn texts<T: FromStr<Err = Invalid>>(
        &mut self,
        section: &Section<'_>,
        key: &str,
    ) -> Vec<Given<T>> {
        let Some(value) = section.table.get(key) else {
            return Vec::new();
        };
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong_type::<()>(key, value, "a list of strings");
            return Vec::new();
        };
        let mut all = Vec::new();
        for item in items {
            all.extend(match item.get_ref() {
                DeValue::String(text) => self.parsed(text, item),
                _ => self.wrong_type(key, item, "strings in its list"),
            });
        }
        all
    }

    fn parsed<T: FromStr<Err = Invalid>>(
        &mut self,
        text: &str,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<Given<T>> {
        let from = self.source(value.span());
        match text.parse() {
            Ok(value) => Some(Given::new(value, from)),
            Err(invalid) => {
                self.mistake(Mistake::new(&from, invalid.to_string()));
                None
            }
        }
    }

    fn wrong_type<T>(
        &mut self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        wanted: &str,
    ) -> Option<T> {
        let at = self.source(value.span());
        let mut mistake = Mistake::new(
            &at,
            format!(
                "`{key}` takes {wanted}, and this is {}",
                kind(value.get_ref())
            ),
        );
        if let DeValue::String(text) = value.get_ref()
            && (text.parse::<u64>().is_ok() || matches!(text.as_ref(), "true" | "false"))
        {
            mistake = mistake.advise(format!("write it without quotes: {text}"));
        }
        self.mistake(mistake);
        None
    }
}

/// A whole number in decimal, however it was written; one too large for any field as it was written.
fn decimal(value: &DeValue<'_>) -> Option<String> {
    let DeValue::Integer(number) = value else {
        return None;
    };
    let parsed = i64::from_str_radix(number.as_str(), number.radix());
    Some(parsed.map_or_else(|_| number.to_string(), |parsed| parsed.to_string()))
}

const fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
