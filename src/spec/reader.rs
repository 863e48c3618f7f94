//! Typed reading of a parsed TOML table. It collects mistakes, and never stops at one.

use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Invalid;
use super::mistake::{Given, Mistake, Place, Source, nearest};

/// Reads values, and collects mistakes with their places.
pub(super) struct Reader<'a> {
    text: &'a str,
    file: Arc<str>,
    pub(super) mistakes: Vec<Mistake>,
}

/// A table with its title and its valid keys.
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

    pub(super) const fn title(&self) -> &'a str {
        self.title
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

    /// Adds a mistake for each unknown key of a section. `elsewhere` lists other sections that it may belong in.
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
                (None, None) => format!("valid keys: {}", section.keys.join(", ")),
            };
            let at = self.source(key.span());
            let what = format!("unknown key `{}` in {}", name.escape_debug(), section.title);
            self.mistake(Mistake::new(&at, what).advise(advice));
        }
    }

    /// Adds a mistake for each of these keys that the section has: they are invalid together with its other keys.
    pub(super) fn refuse(&mut self, section: &Section<'_>, keys: &[&str], advice: &str) {
        for key in section
            .table
            .keys()
            .filter(|key| keys.contains(&key.get_ref().as_ref()))
        {
            let at = self.source(key.span());
            let what = format!("unexpected key `{}` in {}", key.get_ref(), section.title);
            self.mistake(Mistake::new(&at, what).advise(advice));
        }
    }

    /// Returns the source of a key's value; `Default` if the key is absent.
    pub(super) fn source_of(&self, section: &Section<'_>, key: &str) -> Source {
        let value = section.table.get(key);
        value.map_or(Source::Default, |value| self.source(value.span()))
    }

    /// Returns the table at a key; any other type is a mistake.
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

    /// Returns the string at a key, parsed.
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

    /// Returns the whole number at a key, parsed.
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

    /// Returns the string or whole number at a key, parsed. A number in quotes is a mistake.
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

    /// Returns the boolean at a key.
    pub(super) fn flag(&mut self, section: &Section<'_>, key: &str) -> Option<Given<bool>> {
        let value = section.table.get(key)?;
        match value.get_ref() {
            DeValue::Boolean(flag) => Some(Given::new(*flag, self.source(value.span()))),
            _ => self.wrong_type(key, value, "true or false"),
        }
    }

    /// Returns the list of strings at a key, parsed; an empty list if the key is absent.
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
        for (number, item) in items.iter().enumerate() {
            all.extend(match item.get_ref() {
                DeValue::String(text) => self.parsed(text, item),
                _ => self.wrong_type(&format!("{key}[{number}]"), item, "a string"),
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
            format!("`{key}` must be {wanted}, not {}", kind(value.get_ref())),
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

/// Returns a whole number in decimal notation. One that is too large for any setting is returned as it was written.
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
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
