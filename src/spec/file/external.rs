//! The `[registry.NAME]` section of a registry that somebody else runs.

use std::str::FromStr;

use time::OffsetDateTime;

use super::{Load, RelativePath, Section, Unread};
use crate::spec::mistake::{Given, Mistake, Source};
use crate::spec::reader::Reader;
use crate::spec::request::PortRequest;
use crate::spec::{Auth, Authorities, External, ExternalLogin, Invalid, Port, Variables};

/// Keys that are valid only for a registry that kindreg runs.
const MANAGED_ONLY: &[&str] = &[
    "image",
    "keep_data",
    "tls",
    "mirror_of",
    "upstream_ca",
    "upstream_username_env",
    "upstream_password_env",
];
/// Keys that are valid only for an external registry.
const EXTERNAL_ONLY: &[&str] = &["address", "ca", "username_env", "password_env", "proof"];
const NEEDS_EXTERNAL: &str = "it requires backend = \"external\"";

/// Who runs a registry, as the file names it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Distribution,
    External,
}

impl FromStr for Kind {
    type Err = Invalid;
    fn from_str(value: &str) -> Result<Self, Invalid> {
        let why = match value {
            "distribution" => return Ok(Self::Distribution),
            "external" => return Ok(Self::External),
            "nexus" => "not supported yet; must be \"distribution\" or \"external\"",
            _ => "must be \"distribution\" or \"external\"",
        };
        Err(Invalid {
            what: "backend",
            value: value.to_owned(),
            why: why.to_owned(),
        })
    }
}

/// Reads the settings of a registry that somebody else runs; `None` if kindreg runs it.
pub(super) fn backend(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    port: &mut Given<PortRequest>,
    auth: Auth,
    load: Load<'_>,
) -> Option<External> {
    let Some(asked) = reader.text::<Kind>(section, "backend") else {
        // Which keys go with an invalid back end is unknown.
        if !section.has("backend") {
            reader.refuse(section, EXTERNAL_ONLY, NEEDS_EXTERNAL);
        }
        return None;
    };
    if asked.value == Kind::Distribution {
        reader.refuse(section, EXTERNAL_ONLY, NEEDS_EXTERNAL);
        return None;
    }
    let advice = "it is for registries that kindreg runs";
    reader.refuse(section, MANAGED_ONLY, advice);
    if !section.has("host") {
        let what = "an external registry requires `host`".to_owned();
        let advice = "set it as its images are named, such as host = \"nexus.company.internal\"";
        reader.mistake(Mistake::new(&asked.from, what).advise(advice));
    }
    if !section.has("port") {
        *port = Given::new(PortRequest::Fixed(Port::HTTPS), Source::Default);
    } else if port.value == PortRequest::Auto && port.is_given() {
        let what = "`port` of an external registry can't be \"auto\"";
        let advice = "set its number, or remove the key for port 443";
        reader.mistake(Mistake::new(&port.from, what).advise(advice));
    }
    let variables = variables(reader, section, ["username_env", "password_env"]);
    Some(External {
        address: reader.text(section, "address").map(|given| given.value),
        ca: authorities(reader, section, "ca", load).map(|given| given.value),
        login: match (auth, variables) {
            (Auth::Anonymous, _) => ExternalLogin::Anonymous,
            (Auth::Password, None) => ExternalLogin::Docker,
            (Auth::Password, Some(variables)) => ExternalLogin::Variables(variables),
        },
        proof: reader.text(section, "proof").map(|given| given.value),
    })
}

/// Reads two keys that name the variables of the user name and of the password.
pub(super) fn variables(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    keys: [&str; 2],
) -> Option<Variables> {
    let [username, password] = keys.map(|key| reader.text(section, key));
    let [has_username, has_password] = keys.map(|key| section.has(key));
    if has_username != has_password {
        let advice = format!("set both {} and {}, or neither", keys[0], keys[1]);
        reader.refuse(section, &keys, &advice);
    }
    Some(Variables {
        username: username?.value,
        password: password?.value,
    })
}

/// Reads the CA certificates in the file that a key names.
pub(super) fn authorities(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    key: &str,
    load: Load<'_>,
) -> Option<Given<Authorities>> {
    let path = reader.text::<RelativePath>(section, key)?;
    let name = &path.value.0;
    let read = match load(name) {
        Ok(text) => Authorities::read(&text, OffsetDateTime::now_utc()),
        Err(Unread::Failed(why)) => Err(why),
        Err(Unread::Skipped) => return None,
    };
    match read {
        Ok(authorities) => Some(Given::new(authorities, path.from)),
        Err(why) => {
            let advice = "it must be CA certificates in PEM, not the registry's own certificate";
            let what = format!("{name}: {why}");
            reader.mistake(Mistake::new(&path.from, what).advise(advice));
            None
        }
    }
}
