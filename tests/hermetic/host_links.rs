//! Links on the engine's host on the way to certs.d: those below `/etc` are followed as the host follows them, and
//! nothing is written through one that leads out.

use kindreg::fakes::Machine;
use kindreg::internal::docker::fake::Node;

use crate::stage::words;

/// A machine where `/etc/docker/certs.d` is a link, with the folders that exist besides.
fn linked(target: &str, folders: &[&str]) -> Machine {
    let machine = Machine::new().unwrap();
    let host = machine.docker().host();
    host.make_dir("/etc/docker", 0o755).unwrap();
    host.link("/etc/docker/certs.d", target).unwrap();
    for folder in folders {
        host.make_dir(folder, 0o755).unwrap();
    }
    machine
}

#[tokio::test]
async fn a_link_that_stays_below_etc_is_followed_as_the_host_follows_it() {
    for (target, real) in [
        ("/etc/ssl/docker", "/etc/ssl/docker"),
        ("../ssl/docker", "/etc/ssl/docker"),
        ("/etc/./ssl/../ssl//docker/", "/etc/ssl/docker"),
        ("../second", "/etc/ssl/docker"),
    ] {
        let machine = linked(target, &["/etc/ssl/docker"]);
        let host = machine.docker().host();
        host.link("/etc/second", "/etc/ssl/docker").unwrap();
        let before = host.all("/");
        let up = machine.run(&words("up")).await;
        assert_eq!(up.code, 0, "{target}: {up:?}");
        let file = format!("{real}/registry.test:5001/kindreg-kindreg.crt");
        assert!(
            host.read(&file).is_some(),
            "{target}: {:#?}",
            host.all("/etc")
        );
        assert_eq!(machine.run(&words("status")).await.code, 0, "{target}");
        let down = machine.run(&words("down")).await;
        assert_eq!(down.code, 0, "{target}: {down:?}");
        assert_eq!(host.all("/"), before, "{target}");
    }
}

#[tokio::test]
async fn nothing_is_written_through_a_link_that_leads_out_of_etc() {
    for target in [
        "/opt/certs.d",
        "../../opt/certs.d",
        "/etc/../opt/certs.d",
        "/etcetera",
        "certs.d",
        "/",
    ] {
        let machine = linked(target, &[]);
        let before = machine.docker().host().all("/");
        let up = machine.run(&words("up")).await;
        assert_eq!(up.code, 1, "{target}: {up:?}");
        let why = "/etc/docker/certs.d/registry.test:5001 on the engine's host is a link that leads out of /etc";
        assert!(up.stderr.contains(why), "{target}: {up:?}");
        assert_eq!(machine.docker().host().all("/"), before, "{target}");
        assert_eq!(
            machine.run(&words("list --json")).await.stdout.trim(),
            "[]",
            "{target}"
        );

        let up = machine.run(&words("up --no-host-trust")).await;
        assert_eq!(up.code, 0, "{target}: {up:?}");
        assert_eq!(machine.run(&words("down")).await.code, 0, "{target}");
        assert_eq!(machine.docker().host().all("/"), before, "{target}");
    }
}

#[tokio::test]
async fn a_link_that_was_made_after_up_is_named_by_down_which_ends_once_it_is_gone() {
    let machine = Machine::new().unwrap();
    let host = machine.docker().host();
    let before = host.all("/");
    assert_eq!(machine.run(&words("up")).await.code, 0);
    let files = host.all("/etc/docker/certs.d");
    assert!(host.remove("/etc/docker/certs.d"));
    host.link("/etc/docker/certs.d", "/opt/certs.d").unwrap();
    let down = machine.run(&words("down")).await;
    assert_eq!(down.code, 1, "{down:?}");
    assert!(down.stderr.contains("leads out of /etc"), "{down:?}");
    assert!(host.remove("/etc/docker/certs.d"));
    for (path, node) in files {
        match node {
            Node::File { mode, content } => host.write(&path, mode, content).unwrap(),
            Node::Folder { mode } => host.make_dir(&path, mode).unwrap(),
            Node::Link { target } => host.link(&path, &target).unwrap(),
        }
    }
    let down = machine.run(&words("down")).await;
    assert_eq!(down.code, 0, "{down:?}");
    assert_eq!(host.all("/"), before);
}

#[tokio::test]
async fn a_repair_through_a_link_forgets_no_folder_that_was_made_before_it() {
    let machine = Machine::new().unwrap();
    let host = machine.docker().host();
    let before = host.all("/");
    assert_eq!(machine.run(&words("up")).await.code, 0);
    let made = host.all("/etc/docker/certs.d");
    assert!(host.remove("/etc/docker/certs.d"));
    host.make_dir("/etc/ssl/docker", 0o755).unwrap();
    host.link("/etc/docker/certs.d", "/etc/ssl/docker").unwrap();
    assert_eq!(machine.run(&words("up")).await.code, 0);
    assert!(host.remove("/etc/docker/certs.d") && host.remove("/etc/ssl"));
    for (path, node) in made {
        match node {
            Node::File { mode, content } => host.write(&path, mode, content).unwrap(),
            Node::Folder { mode } => host.make_dir(&path, mode).unwrap(),
            Node::Link { target } => host.link(&path, &target).unwrap(),
        }
    }
    assert_eq!(machine.run(&words("down")).await.code, 0);
    assert_eq!(host.all("/"), before);
}
