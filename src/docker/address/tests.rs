//! Tests of every way in which docker itself finds its engine.

use super::*;

/// Returns a configuration folder, with a context `work` if a host is given.
fn config(host: Option<&str>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    if let Some(host) = host {
        let meta = folder
            .path()
            .join("contexts/meta")
            .join(hex::encode(Sha256::digest("work")));
        fs::create_dir_all(&meta).unwrap();
        let text = format!(
            r#"{{"Name":"work","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"{host}"}}}}}}"#
        );
        fs::write(meta.join("meta.json"), text).unwrap();
    }
    folder
}

fn at(
    folder: &tempfile::TempDir,
    flag: Option<&str>,
    env: &[(&str, &str)],
) -> Result<EngineAddress, AddressError> {
    let lookup = |name: &str| {
        env.iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| (*value).to_owned())
    };
    resolve(flag, &lookup, folder.path())
}

#[test]
fn the_default_is_dockers_socket() {
    let address = at(&config(None), None, &[("DOCKER_HOST", "")]).unwrap();
    assert_eq!(
        (address.host.as_str(), address.origin),
        (DEFAULT_HOST, Origin::Default)
    );
}

#[test]
fn each_source_beats_the_next() {
    let folder = config(Some("unix:///context.sock"));
    fs::write(
        folder.path().join("config.json"),
        r#"{"currentContext":"work","auths":{}}"#,
    )
    .unwrap();
    let context = at(&folder, None, &[]).unwrap();
    assert_eq!(context.host, "unix:///context.sock");
    assert_eq!(context.origin, Origin::Context("work".to_owned()));

    let cancelled = at(&folder, None, &[("DOCKER_CONTEXT", "default")]).unwrap();
    assert_eq!(cancelled.origin, Origin::Default);
    let variable = at(
        &folder,
        None,
        &[
            ("DOCKER_HOST", "unix:///host.sock"),
            ("DOCKER_CONTEXT", "work"),
        ],
    )
    .unwrap();
    assert_eq!(
        (variable.host.as_str(), variable.origin),
        ("unix:///host.sock", Origin::Variable)
    );
    let flag = at(
        &folder,
        Some("unix:///flag.sock"),
        &[("DOCKER_HOST", "unix:///host.sock")],
    )
    .unwrap();
    assert_eq!(
        (flag.host.as_str(), flag.origin),
        ("unix:///flag.sock", Origin::Flag)
    );
}

#[test]
fn a_missing_context_is_an_error() {
    let error = at(&config(None), None, &[("DOCKER_CONTEXT", "gone")]).unwrap_err();
    assert!(matches!(error, AddressError::NoContext { name } if name == "gone"));
}

#[test]
fn a_context_brings_its_certificates() {
    let folder = config(Some("tcp://10.0.0.5"));
    let tls = folder
        .path()
        .join("contexts/tls")
        .join(hex::encode(Sha256::digest("work")))
        .join("docker");
    fs::create_dir_all(&tls).unwrap();
    let address = at(
        &folder,
        None,
        &[("DOCKER_CONTEXT", "work"), ("DOCKER_TLS_VERIFY", "")],
    )
    .unwrap();
    assert_eq!(address.host, "tcp://10.0.0.5:2376");
    assert_eq!(address.route, Route::Tls(TlsFiles { folder: tls }));
}

#[test]
fn tls_comes_from_the_environment_and_only_for_tcp() {
    let folder = config(None);
    let tls = [("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", "/certs")];
    let tcp = at(&folder, Some("tcp://engine:2376"), &tls).unwrap();
    let files = |address: EngineAddress| match address.route {
        Route::Tls(files) => Some(files),
        Route::Socket | Route::Tcp | Route::Ssh(_) => None,
    };
    assert_eq!(files(tcp).map(|tls| tls.ca()), Some("/certs/ca.pem".into()));
    let own = at(&folder, Some("engine"), &tls[..1]).unwrap();
    assert_eq!(
        (own.host.clone(), files(own).unwrap().folder),
        ("tcp://engine:2376".to_owned(), folder.path().to_owned())
    );
    let socket = at(&folder, Some("unix:///x.sock"), &tls).unwrap();
    assert_eq!(socket.route, Route::Socket);
}

#[test]
fn addresses_are_normalized() {
    let folder = config(None);
    for (written, meant) in [
        ("tcp://[::1]", "tcp://[::1]:2375"),
        ("tcp://[::1]:99/", "tcp://[::1]:99"),
        ("localhost:2375", "tcp://localhost:2375"),
        ("unix://", DEFAULT_HOST),
    ] {
        assert_eq!(at(&folder, Some(written), &[]).unwrap().host, meant);
    }
    for wrong in [
        "npipe:////./pipe/docker_engine",
        "unix://relative",
        "tcp://",
        "",
        "tcp://host/path",
    ] {
        let error = at(&folder, Some(wrong), &[]).unwrap_err();
        assert!(
            matches!(error, AddressError::Unsupported { .. }),
            "{wrong}: {error}"
        );
    }
}

#[test]
fn an_engine_behind_ssh_is_on_another_machine_and_docker_uses_the_tunnel() {
    let address = at(&config(None), Some("ssh://me@box:22/"), &[]).unwrap();
    assert_eq!(address.host, "ssh://me@box:22");
    let side = Side::There {
        host: "box".to_owned(),
        ssh: "-p 22 me@box".to_owned(),
    };
    assert_eq!(address.side(), side);
    let environment = address.environment(Some(Path::new("/tmp/x/docker.sock")));
    assert!(environment.contains(&(
        "DOCKER_HOST".to_owned(),
        "unix:///tmp/x/docker.sock".to_owned()
    )));
}

#[test]
fn an_address_of_ssh_that_is_an_option_is_refused() {
    let error = at(&config(None), Some("ssh://-oProxyCommand=id"), &[]).unwrap_err();
    assert!(
        matches!(error, AddressError::Unsupported { .. }),
        "{error:?}"
    );
}

#[test]
fn localhost_is_on_this_machine_unless_the_address_is_another_one_s() {
    for (host, side) in [
        ("unix:///x.sock", None),
        ("tcp://127.0.0.1:2375", None),
        ("tcp://127.3.2.1:2375", None),
        ("tcp://localhost", None),
        ("tcp://[::1]:2375", None),
        ("tcp://10.1.2.3:2375", Some("10.1.2.3")),
        ("tcp://[fd00::1]:2375", Some("fd00::1")),
        ("tcp://box", Some("box")),
        ("ssh://box", Some("box")),
    ] {
        let address = at(&config(None), Some(host), &[]).unwrap();
        let there = |name: &str| Side::There {
            host: name.to_owned(),
            ssh: name.to_owned(),
        };
        let expected = side.map_or(Side::Here, there);
        assert_eq!(address.side(), expected, "{host}");
    }
}

#[test]
fn the_environment_cancels_what_a_child_would_inherit() {
    let address = at(&config(None), Some("unix:///x.sock"), &[]).unwrap();
    let environment: Vec<_> = address.environment(None);
    let value = |name: &str| {
        environment
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    };
    assert_eq!(value("DOCKER_HOST"), Some("unix:///x.sock"));
    assert_eq!(value("DOCKER_CONTEXT"), Some(""));
    assert_eq!(value("DOCKER_TLS_VERIFY"), Some(""));
}

#[test]
fn a_broken_file_is_named() {
    let folder = config(None);
    fs::write(folder.path().join("config.json"), "{").unwrap();
    let error = at(&folder, None, &[]).unwrap_err().to_string();
    assert!(error.ends_with("config.json"), "{error}");
}
