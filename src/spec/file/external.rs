//! `[registry.NAME]` of a registry that somebody else runs.

use std::str::FromStr;

use time::OffsetDateTime;

use super::{Load, RelativePath, Section};
use crate::spec::mistake::{Given, Mistake, Source};
use crate::spec::reader::Reader;
use crate::spec::request::PortRequest;
use crate::spec::{Auth, Authorities, External, ExternalLogin, Invalid, Port, Variables};

/// Keys that mean nothing where somebody else runs the registry.
const OF_OURS: &[&str] = &[
    "image",
    "keep_data",
    "mirror_of",
    "upstream_ca",
    "upstream_username_env",
    "upstream_password_env",
];
/// Keys that mean something only there.
const OF_EXTERNALS: &[&str] = &["address", "ca", "username_env", "password_env", "proof"];
const GOES_WITH: &str =
    "it goes with backend = \"external\", for registries that kindreg does not run";

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
            "nexus" => "it isn't there yet; today there are \"distribution\" and \"external\"",
            _ => "there are \"distribution\" and \"external\"",
        };
        Err(Invalid {
            what: "back end that kindreg has",
            value: value.to_owned(),
            why: why.to_owned(),
        })
    }
}

/// Reads the settings of a registry that somebody else runs; `None` where kindreg is to run it.
pub(super) fn backend(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    port: &mut Given<PortRequest>,
    auth: Auth,
    load: Load<'_>,
) -> Option<External> {
    let Some(asked) = reader.text::<Kind>(section, "backend") else {
        // Which keys go with a back end that can't be read, nobody knows.
        if !section.has("backend") {
            reader.refuse(section, OF_EXTERNALS, GOES_WITH);
        }
        return None;
    };
    if asked.value == Kind::Distribution {
        reader.refuse(section, OF_EXTERNALS, GOES_WITH);
        return None;
    }
    let advice = "whoever runs an external registry sees to that";
    reader.refuse(section, OF_OURS, advice);
    if !section.has("host") {
        let what = "an external registry needs its host".to_owned();
        let advice = "give the one that its images have: host = \"nexus.company.internal\"";
        reader.mistake(Mistake::new(&asked.from, what).advise(advice));
    }
    if !section.has("port") {
        *port = Given::new(PortRequest::Fixed(Port::HTTPS), Source::Default);
    } else if port.value == PortRequest::Auto && port.is_given() {
        let what = "the port of an external registry can't be found";
        let advice = "give the one that it has; without any it is 443";
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

/// The variables that two keys name: that of the user, and that of the password.
pub(super) fn variables(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    keys: [&str; 2],
) -> Option<Variables> {
    let [username, password] = keys.map(|key| reader.text(section, key));
    let [has_username, has_password] = keys.map(|key| section.has(key));
    if has_username != has_password {
        let advice =
            "user and password are each in a variable of their own: give both names or none";
        reader.refuse(section, &keys, advice);
    }
    Some(Variables {
        username: username?.value,
        password: password?.value,
    })
}

/// The certificates of another file.
pub(super) fn authorities(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    key: &str,
    load: Load<'_>,
) -> Option<Given<Authorities>> {
    let path = reader.text::<RelativePath>(section, key)?;
    let name = &path.value.0;
    let read = load(name).and_then(|text| Authorities::read(&text, OffsetDateTime::now_utc()));
    match read {
        Ok(authorities) => Some(Given::new(authorities, path.from)),
        Err(why) => {
            let advice = "it takes certificates of authorities in PEM, not the registry's own";
            let what = format!("{name}: {why}");
            reader.mistake(Mistake::new(&path.from, what).advise(advice));
            None
        }
    }
}
