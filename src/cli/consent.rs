//! What a cloned repository's settings must not do unasked: plant a CA for a name that others own, or hand the user's
//! credentials to an address, a CA or out of variables of their choice.

use anyhow::Result;

use crate::problem::Problem;
use crate::spec::{
    Address, Auth, Authorities, External, Host, HostTrust, Registry, Spec, Upstream, Variables,
};
use crate::steps::Asked;
use crate::ui::Printer;

const OTHERWISE: &str = "or take it out of kindreg.toml";

/// Something to agree to, and what else one can do.
struct Question {
    what: String,
    otherwise: &'static str,
}

/// Asks for what is new; what was agreed to once is not asked again.
///
/// # Errors
/// The user did not agree, or there is nobody to ask.
pub(super) fn ask(spec: &Spec, asked: Option<&Asked>, printer: Printer) -> Result<()> {
    let before = asked.map(|asked| &asked.current);
    for Question { what, otherwise } in questions(spec, before) {
        if !printer.ask(&format!("What is asked has consequences: {what}. Go on?")) {
            let hint = format!("say that you mean it with --yes, {otherwise}");
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
        if let Some((upstream, names)) = registry.upstream_login()
            && !old.is_some_and(|old| sends_as(old, registry))
        {
            all.push(Question {
                what: format!(
                    "{upstream} will be sent ${} and ${} by image {}, and whoever reaches {domain} can pull what they may",
                    names.username, names.password, registry.image
                ),
                otherwise: OTHERWISE,
            });
        }
        let choice = Choice::of(registry);
        let same = old.is_some_and(|old| Choice::of(old) == choice);
        let harmless = choice.is_some_and(|choice| choice.is_harmless());
        let trusted = |spec: &Spec| spec.host_trusted().any(|one| one.domain() == domain);
        let planted = trusted(spec) && !(same && before.is_some_and(trusted));
        match registry.external() {
            None if planted && !is_private(&registry.host) => all.push(Question {
                what: format!(
                    "{domain} may be somebody's real registry, and the engine's host would trust a new CA for it"
                ),
                otherwise: "leave the host alone with --no-host-trust, or choose a name in .test",
            }),
            Some(external) if planted || !(same || harmless) => all.push(Question {
                what: format!(
                    "for {domain}, which kindreg does not run, {}",
                    handed(spec, registry, external)
                ),
                otherwise: OTHERWISE,
            }),
            _ => {}
        }
    }
    all
}

/// A registry that others own, for which nodes are newly to trust another CA than a public one.
fn foreign_upstream<'a>(registry: &'a Registry, old: Option<&Registry>) -> Option<&'a Upstream> {
    let of = |registry: &Registry| (registry.mirror_of.clone(), registry.upstream_ca.clone());
    let same = old.is_some_and(|old| of(old) == of(registry));
    let upstream = registry
        .upstream()
        .filter(|upstream| !is_private(&upstream.host));
    upstream.filter(|_| registry.upstream_ca.is_some() && !same)
}

/// Whether two caches send the same variables to the same registry, which shows the same CA, by the same program.
fn sends_as(one: &Registry, other: &Registry) -> bool {
    one.upstream_login() == other.upstream_login()
        && one.upstream_ca == other.upstream_ca
        && one.image == other.image
}

/// What an external registry's settings decide for the user: whom nodes trust, where they find it, and what they send.
#[derive(PartialEq, Eq)]
struct Choice<'a> {
    address: Option<Address>,
    ca: Option<&'a Authorities>,
    variables: Option<&'a Variables>,
    auth: Auth,
}

impl<'a> Choice<'a> {
    fn of(registry: &'a Registry) -> Option<Self> {
        let external = registry.external()?;
        Some(Self {
            address: external.address,
            ca: external.ca.as_ref(),
            variables: external.variables.as_ref(),
            auth: registry.auth,
        })
    }

    /// Whether it is docker's own: a public CA, a name server, and what docker would send there as well.
    const fn is_harmless(&self) -> bool {
        self.address.is_none() && self.ca.is_none() && self.variables.is_none()
    }
}

/// Names that nobody owns in public.
fn is_private(host: &Host) -> bool {
    let top = host.as_str().rsplit('.').next().unwrap_or_default();
    ["test", "localhost", "internal", "local"].contains(&top)
}

/// What an external registry gets, in words.
fn handed(spec: &Spec, registry: &Registry, external: &External) -> String {
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
    match &external.variables {
        _ if !registry.asks_password() => {}
        None => parts.push("it will be sent your credentials for it".to_owned()),
        Some(names) => parts.push(format!(
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
        other.registries[0].upstream_ca = Some(ca.try_into().unwrap());
        assert_eq!(questions(&other, Some(&with)).len(), 1);
    }
}
