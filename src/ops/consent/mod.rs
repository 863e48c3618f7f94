//! Asks before settings make the machine run somebody's images, trust a CA for a name that others own, or send the
//! user's credentials somewhere.
//!
//! A `kindreg.toml` that was found comes from a cloned repository, so all of this is asked about. What the user typed,
//! or named with `--config`, is asked about where it concerns a name or a registry that others own.

use std::fmt;

use anyhow::Result;

use super::User;
use super::ports::Wanted;
use crate::problem::Problem;
use crate::spec::mistake::{Given, Source};
use crate::spec::request::{Request, SettingsFile};
use crate::spec::{Host, Registry, Spec};
use external::Choice;

mod cluster;
mod external;
mod managed;
#[cfg(test)]
mod tests;

/// What to do instead of agreeing, if only the file can ask for it.
const OTHERWISE: &str = "change kindreg.toml";

/// A consequence of the settings that needs the user's consent, as a sentence without its full stop. Values that take
/// several lines follow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    what: String,
    /// What to do instead.
    otherwise: &'static str,
}

impl Question {
    const fn new(what: String) -> Self {
        Self {
            what,
            otherwise: OTHERWISE,
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// Whether the user is asked about consequences of the settings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Consent {
    /// The user is asked about each new one.
    #[default]
    Ask,
    /// The user has agreed to all of them beforehand (`--yes`).
    Given,
}

/// Asks about each consequence once, however often `up` tries another port.
pub(super) struct Asking<'a> {
    pub(super) user: &'a dyn User,
    consent: Consent,
    agreed: Vec<Question>,
}

impl<'a> Asking<'a> {
    pub(super) const fn new(consent: Consent, user: &'a dyn User) -> Self {
        Self {
            user,
            consent,
            agreed: Vec::new(),
        }
    }

    /// Asks about consequences that are new since the last `up`, which the record has.
    ///
    /// # Errors
    /// The user does not agree, or nobody can be asked. The error shows all that was not agreed to.
    pub(super) fn ask(&mut self, wanted: &Wanted) -> Result<()> {
        if self.consent == Consent::Given {
            return Ok(());
        }
        let before = wanted.recorded.as_ref().map(|recorded| &recorded.current);
        let mut open = questions(&wanted.request, &wanted.spec, before);
        open.retain(|question| !self.agreed.contains(question));
        for (number, question) in open.iter().enumerate() {
            if !self.user.agrees(question) {
                return Err(refused(&open[number..]).into());
            }
            self.agreed.push(question.clone());
        }
        Ok(())
    }
}

/// Returns the error that shows all these questions: whoever answers them with `--yes` must have seen them.
fn refused(open: &[Question]) -> Problem {
    let what = match open {
        [one] => format!("this needs your consent: {one}"),
        all => all
            .iter()
            .fold("this needs your consent:".to_owned(), |text, one| {
                format!("{text}\n- {one}")
            }),
    };
    let mut instead: Vec<&str> = Vec::new();
    for question in open {
        if !instead.contains(&question.otherwise) {
            instead.push(question.otherwise);
        }
    }
    Problem::usage(
        what,
        format!("agree with --yes, or {}", instead.join(", or ")),
    )
}

/// What is asked for, and what was agreed to before.
#[derive(Clone, Copy)]
struct Change<'a> {
    request: &'a Request,
    spec: &'a Spec,
    before: Option<&'a Spec>,
}

impl<'a> Change<'a> {
    /// Returns the registry that had the same domain before.
    fn old(self, registry: &Registry) -> Option<&'a Registry> {
        let domain = registry.domain();
        let mut old = self.before?.registries.iter();
        old.find(|old| old.domain() == domain)
    }

    /// Returns whether the engine's host is to trust a CA for the registry, and did not before.
    fn is_newly_trusted(self, registry: &Registry) -> bool {
        let domain = registry.domain();
        let trusts = |spec: &Spec| spec.host_trusted().any(|one| one.domain() == domain);
        let old = self.old(registry);
        let is_same = old.is_some_and(|old| {
            Choice::of(old) == Choice::of(registry) && has_same_authority(old, registry)
        });
        trusts(self.spec) && !(is_same && self.before.is_some_and(trusts))
    }

    /// Returns whether a cloned repository may have set the value.
    fn is_found<T>(self, value: &Given<T>) -> bool {
        self.found() && matches!(value.from, Source::File(_))
    }

    fn found(self) -> bool {
        match self.request.file {
            SettingsFile::Absent | SettingsFile::Named => false,
            SettingsFile::Found | SettingsFile::OfAnother { .. } => true,
        }
    }
}

/// Returns whether clients of both registries trust the same CA of the user. CAs that kindreg generates count as the
/// same.
fn has_same_authority(one: &Registry, other: &Registry) -> bool {
    let [one, other] = [one, other].map(|it| it.own_certificate().map(|own| own.ca));
    one == other
}

/// Returns the consequences of `spec`, which `request` became, that `before` did not have.
fn questions(request: &Request, spec: &Spec, before: Option<&Spec>) -> Vec<Question> {
    let change = Change {
        request,
        spec,
        before,
    };
    let mut all = cluster::questions(change);
    // A Spec has the registries of its request, in the same order.
    for (asked, registry) in request.registries.iter().zip(&spec.registries) {
        all.extend(managed::questions(change, asked, registry));
        all.extend(external::question(change, registry));
    }
    all
}

/// Returns whether nobody can own the name in public or in a company (RFC 6761). `.internal` is for companies' own
/// names, and anybody in the local network can answer for one in `.local`.
fn is_private(host: &Host) -> bool {
    let top = host.as_str().rsplit('.').next().unwrap_or_default();
    ["test", "localhost"].contains(&top)
}
