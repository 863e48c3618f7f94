//! Consent to what was new since the last `up`, for files that the user named.

use super::*;
use crate::spec::{Backend, Serves, file};

const CACHE: &str = "[registry.cache]\nport = 5002\nmirror_of = \"nexus.test:8443\"\n";
const LOGIN: &str = "upstream_username_env = \"U\"\nupstream_password_env = \"P\"\n";

fn request(text: &str) -> Request {
    let mut nothing = |_: &str| Err("it is not there".to_owned());
    file::parse(text, "kindreg.toml", &mut nothing).unwrap()
}

fn spec(text: &str) -> Spec {
    let resolved = request(text).resolve(&mut |_| panic!("no port is auto"));
    resolved.unwrap()
}

fn asked(text: &str, before: Option<&str>) -> Vec<String> {
    let before = before.map(spec);
    let all = questions(&request(text), &spec(text), before.as_ref());
    all.into_iter().map(|question| question.what).collect()
}

#[test]
fn no_variable_is_sent_to_an_upstream_unasked() {
    let (without, with) = (CACHE.to_owned(), format!("{CACHE}{LOGIN}"));
    assert_eq!(asked(&without, None), [""; 0]);
    let question = "image registry:3 will send $U and $P to nexus.test:8443, and everyone who reaches \
                    cache.test:5002 can pull with them";
    assert_eq!(asked(&with, None), [question]);
    assert_eq!(asked(&with, Some(&without)), [question], "they are new");
    assert_eq!(asked(&with, Some(&with)), [""; 0], "once is enough");
    assert_eq!(asked(&without, Some(&with)), [""; 0]);
    for (old, new) in [
        ("nexus.test:8443", "evil.test"),
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
    let text = format!("{CACHE}{LOGIN}");
    let with = spec(&text);
    let mut other = with.clone();
    let names = crate::pki::Names::new(["nexus.test"], []);
    let now = time::OffsetDateTime::now_utc();
    let ca = crate::pki::issue("evil", &names, now).unwrap().ca_pem;
    let Backend::Distribution(distribution) = &mut other.registries[0].backend else {
        panic!("kindreg runs it")
    };
    let Serves::Cache(cache) = &mut distribution.serves else {
        panic!("it is a cache")
    };
    cache.ca = Some(ca.try_into().unwrap());
    assert_eq!(questions(&request(&text), &other, Some(&with)).len(), 1);
}
