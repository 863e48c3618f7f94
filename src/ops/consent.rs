//! What a cloned repository's settings must not do unasked: plant a CA for a name that others own, or hand the user's
//! credentials to an address, a CA or out of variables of their choice.

use std::fmt;

use anyhow::Result;

use super::User;
use crate::observe::RecordedSpec;
use crate::problem::Problem;
use crate::spec::{
    Address, Authorities, Backend, Cache, Distribution, External, ExternalLogin, Host, HostTrust,
    ImageRef, Registry, Serves, Spec, Upstream,
};

const OTHERWISE: &str = "or take it out of kindreg.toml";

/// A consequence of the settings that the user has to agree to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    what: String,
    otherwise: &'static str,
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// Whether the user has agreed to every consequence beforehand (`--yes`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Consent {
    /// New ones are asked about.
    #[default]
    Ask,
    /// The user has.
    Given,
}

/// Asks about what is new; what was agreed to once is not asked again.
///
/// # Errors
/// The user does not agree, or there is nobody to ask.
pub(super) fn ask(spec: &Spec, recorded: Option<&RecordedSpec>, user: &dyn User) -> Result<()> {
    let before = recorded.map(|recorded| &recorded.current);
    for question in questions(spec, before) {
        if !user.agrees(&question) {
            let Question { what, otherwise } = question;
            let hint = format!("agree to it with --yes, {otherwise}");
            return Err(Problem::usage(what, hint).into());
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
                    "{upstream} may be somebody's real registry, and nodes would trust the CA in upstream_ca for it"
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
                    "{upstream} will be sent ${} and ${} by image {image}, and whoever reaches {domain} can pull what they may",
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
                        "{domain} may be somebody's real registry, and the engine's host would trust a new CA for it"
                    ),
                    otherwise: "leave the host alone with --no-host-trust, or choose a name in .test",
                });
            }
            Backend::External(external) if planted || !(same || harmless) => all.push(Question {
                what: format!(
                    "for {domain}, which kindreg does not run, {}",
                    handed(spec, external)
                ),
                otherwise: OTHERWISE,
            }),
            Backend::Distribution(_) | Backend::External(_) => {}
        }
    }
    all
}

/// Returns a registry that others own, for which nodes are newly to trust another CA than a public one.
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

/// Returns what a cache sends variables with: the same program, to the same registry, which shows the same CA.
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

/// What an external registry's settings decide for the user: whom nodes trust, where they find it, and what they send.
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

    /// Whether it is docker's own: a public CA, a name server, and what docker would send there as well.
    const fn is_harmless(&self) -> bool {
        let login = match self.login {
            ExternalLogin::Anonymous | ExternalLogin::Docker => true,
            ExternalLogin::Variables(_) => false,
        };
        login && self.address.is_none() && self.ca.is_none()
    }
}

/// Names that nobody owns in public.
fn is_private(host: &Host) -> bool {
    let top = host.as_str().rsplit('.').next().unwrap_or_default();
    ["test", "localhost", "internal", "local"].contains(&top)
}

/// What an external registry gets, in words.
fn handed(spec: &Spec, external: &External) -> String {
    let mut parts = Vec::new();
    if external.ca.is_some() {
        let host = match spec.host_trust {
            HostTrust::Install => " and the engine's host",
            HostTrust::Leave => "",
        };
        parts.push(format!("nodes{host} will trust a CA of its own"));
    }
    if let Some(address) = external.address {
        parts.push(format!("nodes will find it at {address}"));
    }
    match &external.login {
        ExternalLogin::Anonymous => {}
        ExternalLogin::Docker => {
            parts.push("it will be sent your credentials for it".to_owned());
        }
        ExternalLogin::Variables(names) => parts.push(format!(
            "it will be sent ${} and ${}",
            names.username, names.password
        )),
    }
    parts.join(", and ")
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
        let question = "nexus.internal:8443 will be sent $U and $P by image registry:3, and whoever reaches \
                        cache.test:5002 can pull what they may";
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
