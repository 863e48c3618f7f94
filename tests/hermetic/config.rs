//! `kindreg.toml`: what it says is what is asked, and every mistake in it is said at once, with its place.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use kindreg::internal::pki::{Names, issue};
use kindreg::spec::request::Request;
use kindreg::spec::request::{MirrorRequest, RegistryRequest};
use kindreg::spec::{
    Authentication, Backend, Cache, Data, HostTrust, MirrorOf, Mirrored, Port, Registry, Serves,
    Spec, file,
};
use secrecy::ExposeSecret;
use time::OffsetDateTime;

use crate::world::owned;

/// A company's CA.
pub(crate) const COMPANY: &str = include_str!("data/company.pem");

/// What a file comes to, or its mistakes as they are shown. No other file is there but `company.pem`.
pub(crate) fn parse(text: &str) -> Result<Request, Vec<String>> {
    with_files(text, &BTreeMap::from([("company.pem", COMPANY)]))
}

/// The same, beside other files.
pub(crate) fn with_files(text: &str, files: &BTreeMap<&str, &str>) -> Result<Request, Vec<String>> {
    let mut load = |path: &str| {
        let found = files.get(path).map(|text| (*text).to_owned());
        found.ok_or_else(|| "it is not there".to_owned())
    };
    file::parse(text, "kindreg.toml", &mut load)
        .map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect())
}

/// The Spec of a right file; ports that are `auto` go up from 7001.
pub(crate) fn spec(text: &str) -> Spec {
    let mut next = 7000;
    let request = parse(text).unwrap();
    let resolved = request.resolve(&mut |_| {
        next += 1;
        Ok(Port::new(next)?)
    });
    resolved.unwrap()
}

/// The one mistake of a file.
fn mistake(text: &str) -> String {
    match parse(text).unwrap_err().as_slice() {
        [one] => one.clone(),
        several => panic!("not one mistake in {text:?}: {several:#?}"),
    }
}

/// What is asked of a mirror.
fn mirror(request: &RegistryRequest) -> Option<&MirrorRequest> {
    request.distribution()?.mirror.as_ref()
}

/// The CA of somebody's registry, in PEM: always the same.
pub(crate) fn authority() -> String {
    static CA: LazyLock<String> = LazyLock::new(|| {
        let names = Names::new(["nexus.test"], []);
        let identity = issue("company", &names, OffsetDateTime::now_utc());
        identity.unwrap().ca_pem
    });
    CA.clone()
}

const TEMPLATE: &str = include_str!("../../templates/kindreg.toml");

#[test]
fn an_empty_file_and_the_one_of_init_ask_for_what_no_file_asks_for() {
    let default = Request::default()
        .resolve(&mut |_| panic!("no port is auto"))
        .unwrap();
    assert_eq!(spec(""), default);
    assert_eq!(spec(TEMPLATE), default);
    let mut default = default;
    assert_eq!(default.registries[0].domain(), "registry.test:5001");
    assert_eq!(owned(&mut default).workers.number(), 0);
}

#[test]
fn what_init_has_commented_out_is_right_too() {
    let is_setting = |line: &str| line.starts_with('[') || line.contains(" = ");
    let lines = TEMPLATE.lines().map(|line| match line.strip_prefix("# ") {
        // A sentence with a key in backquotes is none.
        Some(rest) if is_setting(rest) && !rest.contains('`') => rest,
        _ => line,
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    let root = Names::new(["registry.test", "localhost"], []);
    let own = issue("company", &root, OffsetDateTime::now_utc()).unwrap();
    let authorities = format!("{COMPANY}{}", own.ca_pem);
    let files = BTreeMap::from([
        ("kind.yaml", "kind: Cluster\n"),
        ("company-ca.pem", &*authorities),
        ("registry.crt", &own.leaf_pem),
        ("registry.key", own.key.expose_secret()),
    ]);
    let request = with_files(&text, &files).unwrap();
    assert!(request.kind_config.is_some());
    let [main, cache, every, _] = request.registries.as_slice() else {
        panic!("four registries")
    };
    assert_eq!(main.names.len(), 1);
    let cache = mirror(cache).unwrap();
    assert!(cache.ca.is_some() && cache.login.is_some());
    assert!(matches!(cache.of.value, MirrorOf::Registry(_)));
    assert_eq!(mirror(every).unwrap().of.value, MirrorOf::Every);
    for key in file::CLUSTER.iter().chain(file::REGISTRY) {
        assert!(text.contains(&format!("\n{key} = ")), "init shows {key}");
    }
}

#[test]
fn every_key_reaches_the_spec() {
    let mut spec = spec(
        r#"
        [cluster]
        name = "demo"
        workers = 0x2
        control_planes = 3
        image = "kindest/node:v1.33.1"
        host_trust = false
        [registry.main]
        host = "nexus.test"
        port = 5_002
        backend = "distribution"
        image = "registry:2"
        names = ["nexus.local", "nexus.internal"]
        keep_data = true
        [registry.hub]
        port = "auto"
        mirror_of = "docker.io"
        [registry.company]
        port = "auto"
        mirror_of = "nexus.example:8443"
        upstream_ca = "company.pem"
        upstream_username_env = "NEXUS_USR"
        upstream_password_env = "NEXUS_PSW"
        [registry.any]
        port = "auto"
        mirror_of = "*"
    "#,
    );
    assert_eq!(spec.cluster.as_str(), "demo");
    let cluster = owned(&mut spec);
    assert_eq!(
        (cluster.workers.number(), cluster.control_planes.number()),
        (2, 3)
    );
    assert_eq!(cluster.node_image.as_str(), "kindest/node:v1.33.1");
    assert_eq!(spec.host_trust, HostTrust::Leave);
    let [main, hub, company, any] = spec.registries.as_slice() else {
        panic!("four registries")
    };
    assert_eq!(
        main.domains(),
        [
            "nexus.test:5002",
            "nexus.local:5002",
            "nexus.internal:5002",
            "localhost:5002"
        ]
    );
    let settings = |registry: &Registry| match &registry.backend {
        Backend::Distribution(settings) => settings.clone(),
        Backend::External(_) => panic!("kindreg runs it"),
    };
    let image_and_data = |registry| {
        let settings = settings(registry);
        (settings.image.to_string(), settings.data)
    };
    assert_eq!(image_and_data(main), ("registry:2".to_owned(), Data::Keep));
    assert_eq!(hub.domain(), "hub.test:7001");
    let caches: Vec<(&Registry, &Cache)> = spec.caches().collect();
    let [(hub_again, of_hub), (company_again, of_company)] = caches.as_slice() else {
        panic!("two caches: {caches:?}")
    };
    assert_eq!(
        (&hub.name, &company.name),
        (&hub_again.name, &company_again.name)
    );
    assert_eq!(of_hub.upstream.url(), "https://registry-1.docker.io");
    assert_eq!(of_company.upstream.url(), "https://nexus.example:8443");
    assert_eq!(of_company.ca.as_ref().unwrap().pem(), COMPANY);
    assert_eq!((&of_hub.ca, &of_hub.login), (&None, &None));
    assert_eq!(of_company.upstream.to_string(), "nexus.example:8443");
    let names = of_company.login.as_ref().unwrap();
    let names = [names.username.as_str(), names.password.as_str()];
    assert_eq!(names, ["NEXUS_USR", "NEXUS_PSW"]);
    let folders = [main, hub, company, any].map(|of| of.mirrored().map(Mirrored::folder));
    let folders = folders.map(Option::unwrap_or_default);
    assert_eq!(folders, ["", "docker.io", "nexus.example:8443", "_default"]);
    let serves = [main, any].map(|of| settings(of).serves);
    assert!(matches!(
        serves,
        [Serves::Pushed { .. }, Serves::Everything]
    ));
    let asking = [main, hub, company, any].map(Registry::authentication);
    let open = Authentication::Anonymous;
    assert_eq!(asking, [Authentication::Stored, open, open, open]);
    assert_eq!(
        image_and_data(hub),
        ("registry:3".to_owned(), Data::Discard)
    );
}

#[test]
fn the_first_registry_is_the_first_of_the_file() {
    let spec = spec("[registry.z]\n[registry.a]\nport = \"auto\"\n[registry.m]\nport = 6000\n");
    let names: Vec<&str> = spec.registries.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["z", "a", "m"]);
}

#[test]
fn every_mistake_is_said_at_once_with_its_place_and_a_way_out() {
    let text = include_str!("data/wrong.toml");
    let said = parse(text).unwrap_err().join("\n") + "\n";
    crate::snapshot::same("wrong.txt", &said);
}

#[test]
fn a_value_of_another_type_is_refused_by_what_it_is() {
    let key = |key: &str| {
        if file::CLUSTER.contains(&key) && key != "image" {
            "cluster"
        } else {
            "registry.r"
        }
    };
    for (name, wrong) in [
        ("name", "3"),
        ("workers", "\"2\""),
        ("workers", "2.0"),
        ("workers", "-1"),
        ("workers", "99999999999999999999999"),
        ("control_planes", "2"),
        ("image", "[]"),
        ("kind_config", "{}"),
        ("host_trust", "\"true\""),
        ("host", "1979-05-27"),
        ("port", "\"5001\""),
        ("port", "0"),
        ("port", "65536"),
        ("port", "\"Auto\""),
        ("port", "5001.0"),
        ("names", "\"nexus.local\""),
        ("names", "[1]"),
        ("names", "[[]]"),
        ("keep_data", "1"),
        ("mirror_of", "true"),
        ("mirror_of", "\"docker.io:443\""),
        ("mirror_of", "\"*.io\""),
        ("upstream_ca", "1"),
        ("upstream_ca", "\"/etc/ssl/ca.pem\""),
        ("backend", "\"Distribution\""),
    ] {
        let said = mistake(&format!("[{}]\n{name} = {wrong}\n", key(name)));
        assert!(
            said.starts_with("kindreg.toml:2:"),
            "{name} = {wrong}: {said}"
        );
    }
    assert!(mistake("[cluster]\nworkers = \"2\"").ends_with("write it without quotes: 2"));
    assert!(mistake("cluster = 3").contains("`cluster` must be a table"));
    assert!(mistake("[[registry]]\nhost = \"a.test\"").contains("must be a table, not a list"));
}

#[test]
fn unknown_keys_come_with_the_word_that_was_meant() {
    for (text, advice) in [
        ("[cluster]\nworker = 1", "did you mean `workers`?"),
        (
            "[cluster]\ncontrol-planes = 1",
            "did you mean `control_planes`?",
        ),
        (
            "[cluster]\nhost = \"a.test\"",
            "it belongs in [registry.NAME]",
        ),
        ("workers = 1", "it belongs in [cluster]"),
        ("[registries.a]", "did you mean `registry`?"),
        ("[registry.a]\nprot = 1", "did you mean `port`?"),
        ("[registry.a]\nhost_trust = true", "it belongs in [cluster]"),
        (
            "[registry.a]\nzzzzzz = 1",
            "valid keys: host, port, backend, image, names, keep_data, mirror_of, upstream_ca, \
             upstream_username_env, upstream_password_env, auth, tls, address, ca, username_env, password_env, proof",
        ),
        (
            "[registry]\nhost = \"a.test\"",
            "each registry is a table with a name, such as [registry.main]",
        ),
        (
            "[registry.a]\nmirror_of = \"index.docker.io\"",
            "use \"docker.io\"",
        ),
    ] {
        let said = mistake(text);
        assert!(said.ends_with(advice), "{text}: {said}");
    }
}

#[test]
fn back_ends_that_are_not_there_yet_are_told_from_what_is_none() {
    assert!(mistake("[registry.a]\nbackend = \"nexus\"").contains("not supported yet"));
    assert!(!mistake("[registry.a]\nbackend = \"artifactory\"").contains("yet"));
}

#[test]
fn registries_that_are_in_each_other_s_way_are_refused() {
    let two = |a: &str, b: &str| format!("[registry.a]\n{a}\n[registry.b]\nport = 5002\n{b}\n");
    for (text, said_of) in [
        (
            "[registry.a]\n[registry.b]\n".to_owned(),
            "kindreg.toml:2:11: registry a already has port 5001",
        ),
        (
            two("port = 5002", ""),
            "kindreg.toml:4:8: registry a already has port 5002",
        ),
        (
            two("", "host = \"a.test\""),
            "kindreg.toml:5:8: registry a already has host name a.test",
        ),
        (
            two("names = [\"b.test\"]", ""),
            "registry a already has host name b.test",
        ),
        (
            two("names = [\"x.test\"]", "names = [\"x.test\"]"),
            "registry a already has host name x.test",
        ),
        (
            two("names = [\"a.test\"]", ""),
            "kindreg.toml:2:10: duplicate host name a.test",
        ),
        (
            two("mirror_of = \"quay.io\"", "mirror_of = \"quay.io\""),
            "registry a already mirrors quay.io",
        ),
        (
            two("mirror_of = \"*\"", "mirror_of = \"*\""),
            "registry a already mirrors *",
        ),
        (
            two("", "mirror_of = \"a.test\""),
            "can't mirror a.test: it is the host name of registry a",
        ),
        (
            two("", "mirror_of = \"a.test:9999\""),
            "can't mirror a.test:9999: it is the host name of registry a",
        ),
        (
            two("", "upstream_ca = \"company.pem\""),
            "kindreg.toml:5:1: unexpected key `upstream_ca` in [registry.b]; it requires a mirror_of that names a registry",
        ),
        (
            two("", "mirror_of = \"*\"\nupstream_ca = \"company.pem\""),
            "it requires a mirror_of that names a registry",
        ),
        (
            two("mirror_of = \"a.test\"", ""),
            "can't mirror a.test: it is the host name of registry a",
        ),
    ] {
        let said = mistake(&text);
        assert!(said.contains(said_of), "{text}: {said}");
    }
    // Two names are two certs.d folders, and one port number can't be told from another registry's localhost.
    assert!(parse(&two("", "mirror_of = \"docker.io\"")).is_ok());
}

#[test]
fn a_ca_of_an_upstream_is_certificates_and_nothing_else() {
    let text = "[registry.a]\nmirror_of = \"nexus.example\"\nupstream_ca = \"ca.pem\"\n";
    let with = |pem: &str| with_files(text, &BTreeMap::from([("ca.pem", pem)]));
    let taken = |pem: &str| {
        let request = with(pem).unwrap();
        let ca = mirror(&request.registries[0]).unwrap().ca.as_ref();
        ca.unwrap().value.pem().to_owned()
    };
    assert_eq!(taken(COMPANY), COMPANY);
    // Comments, as openssl writes them, and several CAs.
    let bundle = format!("subject=CN = Company\n{COMPANY}\r\n# old\n{COMPANY}");
    assert_eq!(taken(&bundle), format!("{COMPANY}{COMPANY}"));
    let key = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
    for (pem, why) in [
        ("hello", "contains no certificate"),
        (
            &COMPANY[..COMPANY.len() - 40],
            "can't read the CA certificate",
        ),
        (&format!("{COMPANY}{key}"), "contains a private key"),
    ] {
        let said = with(pem).unwrap_err().join("\n");
        assert!(said.starts_with("kindreg.toml:3:15: ca.pem: "), "{said}");
        assert!(said.contains(why), "{why}: {said}");
    }
    let absent = parse(text).unwrap_err().join("\n");
    assert!(absent.contains("ca.pem: it is not there"), "{absent}");
}

#[test]
fn credentials_for_an_upstream_are_two_variables_of_a_cache() {
    let user = "upstream_username_env = \"A\"";
    let both = format!("{user}\nupstream_password_env = \"B\"");
    let out = |line: u32, key: &str| {
        format!("kindreg.toml:{line}:1: unexpected key `upstream_{key}_env` in [registry.a]")
    };
    let cache = "mirror_of = \"quay.io\"";
    let external = "backend = \"external\"\nhost = \"x.test\"";
    let no_name = "invalid variable name \"hunter-2\"";
    for (settings, said) in [
        (both.clone(), vec![out(2, "username"), out(3, "password")]),
        (user.to_owned(), vec![out(2, "username")]),
        (
            format!("mirror_of = \"*\"\n{both}"),
            vec![out(3, "username"), out(4, "password")],
        ),
        (
            format!("{external}\n{both}"),
            vec![out(4, "username"), out(5, "password")],
        ),
        (format!("{cache}\n{user}"), vec![out(3, "username")]),
        (
            format!("{cache}\nupstream_password_env = \"hunter-2\""),
            vec![out(3, "password"), format!("kindreg.toml:3:25: {no_name}")],
        ),
        (
            format!("{cache}\nupstream_username_env = 1\nupstream_password_env = \"hunter-2\""),
            vec![
                "kindreg.toml:3:25: `upstream_username_env` must be a string, not a whole number"
                    .to_owned(),
                format!("kindreg.toml:4:25: {no_name}"),
            ],
        ),
        // Whether it is a cache nobody can say.
        (
            format!("mirror_of = \"A\"\n{both}"),
            vec!["kindreg.toml:2:13: ".to_owned()],
        ),
    ] {
        let found = parse(&format!("[registry.a]\n{settings}\n")).unwrap_err();
        assert_eq!(found.len(), said.len(), "{settings}: {found:#?}");
        for (found, said) in found.iter().zip(said) {
            assert!(found.starts_with(&said), "{settings}: {found}");
        }
    }
}

#[test]
fn a_key_given_twice_is_refused_by_the_parser_with_its_place() {
    assert!(
        mistake("[cluster]\nworkers = 1\nworkers = 2\n")
            .starts_with("kindreg.toml:3:1: invalid TOML: duplicate key")
    );
    let said = parse("[registry.a]\n[registry.a]\nhost = \"x.test\"\n").unwrap_err();
    assert!(said[0].starts_with("kindreg.toml:2:"), "{said:?}");
}

#[test]
fn one_port_found_for_two_registries_is_a_failure_and_no_spec() {
    let request = parse("[registry.a]\nport = \"auto\"\n[registry.b]\nport = \"auto\"\n").unwrap();
    assert!(request.has_auto());
    assert!(request.resolve(&mut |_| Ok(Port::default())).is_err());
    assert!(
        request
            .resolve(&mut |_| anyhow::bail!("none is free"))
            .is_err()
    );
}
