//! Registries that kindreg does not run: what may be said of them, and where a user's credentials for them come from.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use kindreg::internal::login::{CredentialSources, DockerConfig};
use kindreg::internal::pki::{Names, issue};
use kindreg::spec::{Authorities, Registry, Spec};
use secrecy::ExposeSecret;
use time::{Duration, OffsetDateTime};

use crate::config::{authority, parse};
use crate::external::{DOMAIN, external, me};

fn mistakes(text: &str) -> String {
    parse(text).unwrap_err().join("\n")
}

#[test]
fn what_goes_with_one_back_end_is_refused_beside_the_other() {
    let external = "[registry.a]\nbackend = \"external\"\nhost = \"a.test\"\n";
    for (text, said) in [
        (
            "[registry.a]\naddress = \"10.0.0.5\"".to_owned(),
            "kindreg.toml:2:1: unexpected key `address` in [registry.a]",
        ),
        (
            "[registry.a]\nbackend = \"distribution\"\nproof = \"a:1\"".to_owned(),
            "kindreg.toml:3:1: unexpected key `proof` in [registry.a]",
        ),
        (
            format!("{external}image = \"registry:3\""),
            "kindreg.toml:4:1: unexpected key `image` in [registry.a]",
        ),
        (
            format!("{external}keep_data = false"),
            "kindreg.toml:4:1: unexpected key `keep_data` in [registry.a]",
        ),
        (
            format!("{external}mirror_of = \"docker.io\""),
            "kindreg.toml:4:1: unexpected key `mirror_of` in [registry.a]",
        ),
        (
            format!("{external}username_env = \"A\""),
            "kindreg.toml:4:1: unexpected key `username_env` in [registry.a]",
        ),
        (
            format!("{external}port = \"auto\""),
            "kindreg.toml:4:8: `port` of an external registry can't be \"auto\"",
        ),
        (
            "[registry.a]\nbackend = \"external\"".to_owned(),
            "kindreg.toml:2:11: an external registry requires `host`",
        ),
        (
            format!("{external}address = \"127.0.0.1\""),
            "a loopback address is the node itself",
        ),
        (
            format!("{external}address = \"::1\""),
            "a loopback address is the node itself",
        ),
        (
            format!("{external}address = \"0.0.0.0\""),
            "must be the address of one machine",
        ),
        (
            format!("{external}address = \"ff02::1\""),
            "must be the address of one machine",
        ),
        (
            format!("{external}address = \"a.test\""),
            "must be an IP address such as 10.0.0.5",
        ),
        (
            format!("{external}proof = \"a.test:443/b:1\""),
            "must be an image reference without a host",
        ),
        (
            format!("{external}username_env = \"A\"\npassword_env = \"hunter-2\""),
            "give the variable's name, not the secret",
        ),
        (
            format!("{external}ca = \"gone.pem\""),
            "gone.pem: it is not there",
        ),
    ] {
        let mistakes = mistakes(&text);
        assert!(mistakes.contains(said), "{text}: {mistakes}");
        assert_eq!(mistakes.lines().count(), 1, "{mistakes}");
    }
}

#[test]
fn only_certificates_of_authorities_are_a_ca() {
    let now = OffsetDateTime::now_utc();
    let names = Names::new(["nexus.test"], []);
    let identity = issue("company", &names, now).unwrap();
    let (ca, leaf) = (&identity.ca_pem, &identity.leaf_pem);
    let around = format!("Subject: us\n{ca}\n# and\n{}", authority());
    let read = Authorities::read(&around, now).unwrap();
    assert!(read.pem().starts_with("-----BEGIN CERTIFICATE-----\n"));
    assert_eq!(read.pem().matches("BEGIN CERTIFICATE").count(), 2);
    assert!(!read.pem().contains("Subject") && !read.pem().contains('#'));
    let key = identity.key.expose_secret();
    let old = issue("old", &names, now - Duration::days(3000))
        .unwrap()
        .ca_pem;
    for (text, why) in [
        (leaf.clone(), "the CA certificate is not a CA"),
        (format!("{ca}{leaf}"), "the CA certificate is not a CA"),
        (format!("{ca}{key}"), "contains a private key"),
        (old.clone(), "expired at"),
        (String::new(), "contains no certificate"),
        ("nonsense".to_owned(), "contains no certificate"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(),
            "can't read the CA certificate",
        ),
        (ca.repeat(200), "more than 64 KiB"),
    ] {
        let said = Authorities::read(&text, now).unwrap_err();
        assert!(said.contains(why), "{why}: {said}");
    }
    // `down` takes what has expired since it was written down.
    assert!(serde_json::from_value::<Authorities>(old.into()).is_ok());
    assert!(serde_json::from_value::<Authorities>("x".into()).is_err());
}

#[test]
fn several_may_be_on_one_machine_and_none_takes_a_name_of_ours() {
    let two = |a: &str, b: &str| {
        format!(
            "[registry.a]\nbackend = \"external\"\nhost = \"x.test\"\n{a}\n\
             [registry.b]\nbackend = \"external\"\nhost = \"x.test\"\n{b}\n"
        )
    };
    assert!(parse(&two("port = 8082", "port = 8083")).is_ok());
    assert!(mistakes(&two("", "")).contains("registry a already has host name x.test"));
    assert!(mistakes(&two("port = 1", "port = 2\naddress = \"10.0.0.5\"")).contains("already"));
    let ours =
        "[registry.a]\nhost = \"x.test\"\n[registry.b]\nbackend = \"external\"\nhost = \"x.test\"";
    assert!(mistakes(ours).contains("registry a already has host name x.test"));
    // Ports of theirs are none of this machine.
    let ports =
        "[registry.a]\n[registry.b]\nbackend = \"external\"\nhost = \"x.test\"\nport = 5001";
    assert!(parse(ports).is_ok());
}

#[test]
fn a_spec_reads_back_as_it_was_written() {
    let ours = serde_json::to_value(crate::world::spec()).unwrap();
    assert_eq!(
        serde_json::from_value::<Spec>(ours).unwrap(),
        crate::world::spec()
    );
    let theirs = serde_json::to_value(external("")).unwrap();
    assert_eq!(
        serde_json::from_value::<Registry>(theirs).unwrap(),
        external("")
    );
}

/// A home with a docker config and a helper that knows one server.
fn home(config: &str) -> (tempfile::TempDir, DockerConfig) {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("config.json"), config).unwrap();
    let helper = home.path().join("docker-credential-e2e");
    let script = format!(
        "#!/bin/sh\nread server; echo \"$server\" >>'{}/asked'\n\
         [ \"$server\" = {DOMAIN} ] || {{ echo credentials not found in native keychain; exit 1; }}\n\
         echo '{{\"Username\":\"robot$me\",\"Secret\":\"pw\"}}'\n",
        home.path().display()
    );
    fs::write(&helper, script).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", home.path().display());
    let config = DockerConfig::of(home.path(), Some(path.into()));
    (home, config)
}

const NAMES: &str = "username_env = \"U\"\npassword_env = \"P\"\n";

#[tokio::test]
async fn variables_come_before_docker_s_config_and_helpers_last() {
    let auth = me("pw").basic().expose_secret().to_owned();
    let plain = format!("{{\"auths\": {{\"{DOMAIN}\": {{\"auth\": \"{auth}\"}}}}}}");
    let (_home, config) = home(&plain);
    let registry = external(NAMES);
    let set = |name: &str| match name {
        "U" => Some("robot$me".to_owned()),
        "P" => Some("from a variable".to_owned()),
        _ => None,
    };
    let wallet = |variable| CredentialSources {
        variable,
        config: config.clone(),
    };
    assert_eq!(
        wallet(&set).at_hand(&registry).unwrap(),
        Some(me("from a variable"))
    );
    assert_eq!(
        wallet(&|_| None).at_hand(&registry).unwrap(),
        Some(me("pw"))
    );
    let half = |name: &str| (name == "U").then(|| "me".to_owned());
    let error = wallet(&half).at_hand(&registry).unwrap_err();
    let said = error.to_string();
    assert!(said.starts_with("no credentials for "), "{error:#}");
    assert!(said.ends_with(": P is not set"), "{error:#}");
    // A further name, which anybody may choose, is no key to another registry's credentials.
    let mut named = external("");
    named.host = "evil.test".parse().unwrap();
    named.names = vec!["nexus.test".parse().unwrap()];
    assert_eq!(wallet(&set).fetch(&named).await.unwrap(), None);
}

#[tokio::test]
async fn a_helper_is_asked_only_where_it_has_to_be() {
    let (home, config) = home("{\"auths\": {\"nexus.test:8443\": {}}, \"credsStore\": \"e2e\"}");
    let wallet = CredentialSources {
        variable: &|_| None,
        config,
    };
    assert_eq!(wallet.at_hand(&external("")).unwrap(), None);
    assert!(!home.path().join("asked").exists());
    assert_eq!(wallet.fetch(&external("")).await.unwrap(), Some(me("pw")));
    let mut other = external("");
    other.host = "other.test".parse().unwrap();
    assert_eq!(wallet.fetch(&other).await.unwrap(), None);
    other.host = "docker.io".parse().unwrap();
    other.port = "443".parse().unwrap();
    assert_eq!(wallet.fetch(&other).await.unwrap(), None);
    let asked = fs::read_to_string(home.path().join("asked")).unwrap();
    assert_eq!(
        asked,
        "nexus.test:8443\nother.test:8443\nhttps://index.docker.io/v1/\ndocker.io\n"
    );
}

#[tokio::test]
async fn what_kubelet_can_t_use_is_refused_with_a_way_out() {
    let token = "{\"auths\": {\"nexus.test:8443\": {\"identitytoken\": \"x\"}}}";
    let (_home, config) = home(token);
    let wallet = CredentialSources {
        variable: &|_| None,
        config,
    };
    assert_eq!(
        wallet.at_hand(&external("")).unwrap(),
        None,
        "nodes may have others"
    );
    let error = wallet.fetch(&external("")).await.unwrap_err();
    assert!(error.to_string().contains("identity token"), "{error:#}");
    assert!(
        kindreg::internal::hints::hint(&error)
            .unwrap()
            .contains("docker login -u USER nexus.test:8443")
    );
    let lines = |name: &str| Some(if name == "U" { "me" } else { "two\nlines" }.to_owned());
    let wallet = CredentialSources {
        variable: &lines,
        config: wallet.config,
    };
    let error = wallet.at_hand(&external(NAMES)).unwrap_err();
    assert!(!format!("{error:#}").contains("lines"), "{error:#}");
}
