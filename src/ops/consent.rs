//! Asks before the settings of a cloned repository make the machine trust a CA for a name that others own, or send the
//! user's credentials somewhere.

use std::fmt;

use anyhow::Result;

use super::User;
use crate::observe::RecordedSpec;
use crate::problem::Problem;
use crate::spec::{
    Address, Authorities, Backend, Cache, Distribution, External, ExternalLogin, Host, HostTrust,
    ImageRef, Registry, Serves, Spec, Upstream,
};

/// What to do instead of agreeing, if only the file can ask for it.
const OTHERWISE: &str = "change kindreg.toml";

/// A consequence of the settings that needs the user's consent, as a sentence without its full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    what: String,
    /// What to do instead.
    otherwise: &'static str,
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

/// Asks about consequences that are new since the last `up`.
///
/// # Errors
/// The user does not agree, or nobody can be asked.
pub(super) fn ask(spec: &Spec, recorded: Option<&RecordedSpec>, user: &dyn User) -> Result<()> {
    let before = recorded.map(|recorded| &recorded.current);
    for question in questions(spec, before) {
        if !user.agrees(&question) {
            let Question { what, otherwise } = question;
            return Err(Problem::usage(
                format!("this needs your consent: {what}"),
                format!("agree with --yes, or {otherwise}"),
            )
            .into());
        }
    }
    Ok(())
}

fn questions(spec: &Spec, before: Option<&Spec>) -> Vec<Question> {
    let mut all = Vec::new();
    for registry in &spec.registries {
        let domain = registry.domain();
        let old = before.and_then(|old| old.registries.iter().find(|old| old.domain() == domain));
        if let Some(upstream) = foreign_upstream(registry, old) {
            all.push(Question {
                what: format!(
                    "nodes will trust the CA in upstream_ca for {upstream}, which may be a public registry"
                ),
                otherwise: OTHERWISE,
            });
        }
        if let Some((image, cache)) = sends(registry)
            && let Some(names) = &cache.login
            && old.and_then(sends) != Some((image, cache))
        {
            let upstream = &cache.upstream;
            all.push(Question {
                what: format!(
                    "image {image} will send ${} and ${} to {upstream}, and everyone who reaches {domain} can pull with them",
                    names.username, names.password
                ),
                otherwise: OTHERWISE,
            });
        }
        let choice = Choice::of(registry);
        let same = old.is_some_and(|old| Choice::of(old) == choice);
        let harmless = choice.is_some_and(|choice| choice.is_harmless());
        let trusted = |spec: &Spec| spec.host_trusted().any(|one| one.domain() == domain);
        let planted = trusted(spec) && !(same && before.is_some_and(trusted));
        match &registry.backend {
            Backend::Distribution(_) if planted && !is_private(&registry.host) => {
                all.push(Question {
                    what: format!(
                        "the engine's host will trust a new CA for {domain}, which may be a public registry"
                    ),
                    otherwise: "leave the host as it is with --no-host-trust, or choose a host name in .test",
                });
            }
            Backend::External(external) if planted || !(same || harmless) => all.push(Question {
                what: format!(
                    "for the external registry {domain}, {}",
                    handed(spec, external)
                ),
                otherwise: OTHERWISE,
            }),
            Backend::Distribution(_) | Backend::External(_) => {}
        }
    }
    all
}

/// Returns an upstream with a public name for which nodes are to trust a CA of its own, if that is new.
fn foreign_upstream<'a>(registry: &'a Registry, old: Option<&Registry>) -> Option<&'a Upstream> {
    let trusted = |registry: &'a Registry| {
        let (_, cache) = sends(registry)?;
        Some((&cache.upstream, cache.ca.as_ref()?))
    };
    let (upstream, ca) = trusted(registry)?;
    let same = old
        .and_then(sends)
        .is_some_and(|(_, cache)| cache.upstream == *upstream && cache.ca.as_ref() == Some(ca));
    (!is_private(&upstream.host) && !same).then_some(upstream)
}

/// Returns the image and the settings of a cache, which decide who gets the user's variables.
const fn sends(registry: &Registry) -> Option<(&ImageRef, &Cache)> {
    match &registry.backend {
        Backend::Distribution(Distribution {
            image,
            serves: Serves::Cache(cache),
            ..
        }) => Some((image, cache)),
        Backend::Distribution(_) | Backend::External(_) => None,
    }
}

/// The settings of an external registry that need consent.
#[derive(PartialEq, Eq)]
struct Choice<'a> {
    address: Option<Address>,
    ca: Option<&'a Authorities>,
    login: &'a ExternalLogin,
}

impl<'a> Choice<'a> {
    const fn of(registry: &'a Registry) -> Option<Self> {
        match &registry.backend {
            Backend::Distribution(_) => None,
            Backend::External(External {
                address, ca, login, ..
            }) => Some(Self {
                address: *address,
                ca: ca.as_ref(),
                login,
            }),
        }
    }

    /// Returns whether docker would do the same: a public CA, an address by DNS, and docker's own login.
    const fn is_harmless(&self) -> bool {
        let login = match self.login {
            ExternalLogin::Anonymous | ExternalLogin::Docker => true,
            ExternalLogin::Variables(_) => false,
        };
        login && self.address.is_none() && self.ca.is_none()
    }
}

/// Returns whether nobody can own the name in public.
fn is_private(host: &Host) -> bool {
    let top = host.as_str().rsplit('.').next().unwrap_or_default();
    ["test", "localhost", "internal", "local"].contains(&top)
}

/// Returns what nodes and the host will do for an external registry, in words.
fn handed(spec: &Spec, external: &External) -> String {
    let mut parts = Vec::new();
    if external.ca.is_some() {
        let host = match spec.host_trust {
            HostTrust::Install => " and the engine's host",
            HostTrust::Leave => "",
        };
        parts.push(format!("nodes{host} will trust the CA in kindreg.toml"));
    }
    if let Some(address) = external.address {
        parts.push(format!("nodes will connect to {address}"));
    }
    match &external.login {
        ExternalLogin::Anonymous => {}
        ExternalLogin::Docker => {
            parts.push("nodes will send it your docker login".to_owned());
        }
        ExternalLogin::Variables(names) => parts.push(format!(
            "nodes will send it ${} and ${}",
            names.username, names.password
        )),
    }
    match parts.as_slice() {
        [all @ .., last] if !all.is_empty() => format!("{}, and {last}", all.join(", ")),
        all => all.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::file;

    const CACHE: &str = "[registry.cache]\nport = 5002\nmirror_of = \"nexus.internal:8443\"\n";
    const LOGIN: &str = "upstream_username_env = \"U\"\nupstream_password_env = \"P\"\n";

    fn spec(text: &str) -> Spec {
        let mut nothing = |_: &str| Err("it is not there".to_owned());
        let request = file::parse(text, "kindreg.toml", &mut nothing).unwrap();
        let resolved = request.resolve(&mut |_| panic!("no port is auto"));
        resolved.unwrap()
    }

    fn asked(text: &str, before: Option<&str>) -> Vec<String> {
        let before = before.map(spec);
        let all = questions(&spec(text), before.as_ref());
        all.into_iter().map(|question| question.what).collect()
    }

    #[test]
    fn no_variable_is_sent_to_an_upstream_unasked() {
        let (without, with) = (CACHE.to_owned(), format!("{CACHE}{LOGIN}"));
        assert_eq!(asked(&without, None), [""; 0]);
        let question = "image registry:3 will send $U and $P to nexus.internal:8443, and everyone who reaches \
                        cache.test:5002 can pull with them";
        assert_eq!(asked(&with, None), [question]);
        assert_eq!(asked(&with, Some(&without)), [question], "they are new");
        assert_eq!(asked(&with, Some(&with)), [""; 0], "once is enough");
        assert_eq!(asked(&without, Some(&with)), [""; 0]);
        for (old, new) in [
            ("nexus.internal:8443", "evil.internal"),
            ("\"U\"", "\"HOME\""),
            ("\"P\"", "\"AWS_SECRET_ACCESS_KEY\""),
            ("port = 5002", "port = 5002\nimage = \"evil/registry:3\""),
        ] {
            let changed = with.replace(old, new);
            assert_eq!(asked(&changed, Some(&with)).len(), 1, "{new}");
            assert_eq!(asked(&changed, Some(&changed)), [""; 0], "{new}");
        }
    }

    #[test]
    fn another_ca_is_another_one_who_is_sent_them() {
        let with = spec(&format!("{CACHE}{LOGIN}"));
        let mut other = with.clone();
        let names = crate::pki::Names::new(["nexus.internal"], []);
        let now = time::OffsetDateTime::now_utc();
        let ca = crate::pki::issue("evil", &names, now).unwrap().ca_pem;
        let Backend::Distribution(distribution) = &mut other.registries[0].backend else {
            panic!("kindreg runs it")
        };
        let Serves::Cache(cache) = &mut distribution.serves else {
            panic!("it is a cache")
        };
        cache.ca = Some(ca.try_into().unwrap());
        assert_eq!(questions(&other, Some(&with)).len(), 1);
    }
}
