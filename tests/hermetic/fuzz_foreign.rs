//! Random input for every reader of what others wrote: records, archives, docker's config, kubeconfigs, secrets, files of
//! nodes, and texts of engines and registries. Nothing panics, and what is not ours stays.

use std::sync::LazyLock;

use kindreg::internal::archive;
use kindreg::internal::credentials::{RegistryCredentials, Stored, auths};
use kindreg::internal::docker::Docker;
use kindreg::internal::docker::fake::FakeDocker;
use kindreg::internal::kubeconfig::Kubeconfig;
use kindreg::internal::observe::{RecordedSpec, recorded};
use kindreg::internal::{layout, render, symptoms};
use proptest::prelude::*;
use secrecy::ExposeSecret;

use crate::fuzz::{changed, changes, renders};
use crate::walk::container;
use crate::world::{NODE_IMAGE, spec_with_mirrors};

static RECORD: LazyLock<String> = LazyLock::new(|| {
    let record = RecordedSpec::new(spec_with_mirrors(), Vec::new());
    serde_json::to_string(&record).unwrap()
});

static SECRET: LazyLock<String> = LazyLock::new(|| {
    let user = RegistryCredentials::generate("kindreg-a").unwrap();
    let stored = Stored::new(user).unwrap().rotated().unwrap();
    stored.to_json().expose_secret().to_owned()
});

const DOCKER: &str = "{\n\t\"auths\": {\n\t\t\"ghcr.io\": {\n\t\t\t\"auth\": \"eDp5\"\n\t\t},\n\t\t\"https://index.docker.io/v1/\": {}\n\t},\n\t\"credHelpers\": {\n\t\t\"a.test\": \"pass\"\n\t},\n\t\"HttpHeaders\": null\n}\n";

const KUBECONFIG: &str = "apiVersion: v1\nkind: Config\ncurrent-context: mine\npreferences: {}\ncontexts:\n- context:\n    cluster: mine\n    user: me\n  name: mine\n- context: {cluster: kind-c, user: kind-c}\n  name: kind-c\nclusters:\n- cluster:\n    server: https://127.0.0.1:6443\n  name: mine\nusers:\n- name: me\n  user: {token: t}\n";

const CONTAINERD: &str = "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\"]\nsandbox_image = \"a\"\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\nconfig_path = \"/etc/containerd/certs.d\"\n";

/// Returns the record that an engine has, with this label and this archive of the record's folder.
fn record(label: &str, folder: Option<Vec<u8>>) -> anyhow::Result<Option<RecordedSpec>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        let docker = FakeDocker::new();
        docker.add_image(NODE_IMAGE);
        let mut record = container("kindreg-c");
        record.labels = [(layout::LABEL_CLUSTER, "c"), (layout::LABEL_RECORD, label)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        docker.create(&record).await?;
        if let Some(folder) = folder {
            docker.serve_archive("kindreg-c", "/kindreg", folder);
        }
        recorded(&docker, &"c".parse()?).await
    })
}

fn is_record(found: anyhow::Result<Option<RecordedSpec>>) -> Result<(), TestCaseError> {
    match found {
        Ok(Some(record)) => {
            renders(&record.current)?;
            record.earlier.iter().try_for_each(renders)
        }
        Ok(None) => Err(TestCaseError::fail("the record was overlooked")),
        Err(error) => {
            prop_assert!(!error.to_string().is_empty());
            Ok(())
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_record_is_refused_or_a_spec_that_can_be_rendered(changes in changes()) {
        is_record(record(&changed(&RECORD, &changes), None))?;
    }

    #[test]
    fn a_changed_file_of_the_record_is_refused_or_a_spec(changes in changes()) {
        let file = archive::Archive::new().file("kindreg/record.json", 0o644, changed(&RECORD, &changes));
        is_record(record(&RECORD, Some(file.into_bytes().unwrap().to_vec())))?;
    }

    #[test]
    fn any_bytes_as_the_records_folder_are_refused_or_without_a_file(bytes in prop::collection::vec(any::<u8>(), 0..1500)) {
        is_record(record(&RECORD, Some(bytes)))?;
    }

    #[test]
    fn any_bytes_are_no_link_that_panics(bytes in prop::collection::vec(any::<u8>(), 0..1500)) {
        let _ = archive::link(&bytes);
    }

    #[test]
    fn a_changed_secret_is_refused_or_users_who_can_be_stored_again(changes in changes(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Stored::from_json(&bytes);
        if let Ok(stored) = Stored::from_json(changed(&SECRET, &changes).as_bytes()) {
            let again = Stored::from_json(stored.to_json().expose_secret().as_bytes()).unwrap();
            prop_assert_eq!(again, stored);
        }
    }

    #[test]
    fn a_docker_config_gets_our_entries_and_loses_them_again_whatever_else_it_has(changes in changes(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = auths::read(&bytes);
        let text = changed(DOCKER, &changes);
        let me = RegistryCredentials::new("me", "pw".to_owned()).unwrap();
        let domain = "registry.test:5001".to_owned();
        let with = auths::merged(text.as_bytes(), &vec![(domain.clone(), &me)]);
        prop_assert_eq!(with.is_ok(), auths::read(text.as_bytes()).is_ok());
        if let Ok(with) = with {
            let with = with.expose_secret().as_bytes();
            prop_assert!(auths::holds(with, &domain, &me));
            let back = auths::restored(with, &[domain], text.as_bytes()).unwrap();
            let back = auths::read(back.unwrap_or_default().expose_secret().as_bytes()).unwrap();
            prop_assert_eq!(back, auths::read(text.as_bytes()).unwrap());
        }
    }

    #[test]
    fn a_kubeconfig_is_refused_or_gets_its_context_back(changes in changes(), garbage in prop::collection::vec(any::<u8>(), 0..100)) {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("config");
        let kubeconfig = Kubeconfig::locate(file.to_str(), home.path(), home.path());
        std::fs::write(&file, garbage).unwrap();
        let _ = kubeconfig.original();
        let text = changed(KUBECONFIG, &changes);
        std::fs::write(&file, &text).unwrap();
        let Ok(original) = kubeconfig.original() else { return Ok(()) };
        let restored = kubeconfig.restore(&original, "kind-c");
        prop_assert!(restored.is_ok(), "{:?}: {:?}", text, restored);
        let after = kubeconfig.original();
        prop_assert!(after.is_ok(), "{:?}: {:?}", text, std::fs::read_to_string(&file));
        prop_assert_eq!(after.unwrap().context, original.context);
    }

    #[test]
    fn files_of_a_node_are_understood_or_left(changes in changes(), text in any::<String>()) {
        let ours = render::our_hosts(&text);
        prop_assert_eq!(render::our_hosts(&ours), ours);
        let _ = render::containerd_config(&text);
        if let Ok(Some(config)) = render::containerd_config(&changed(CONTAINERD, &changes)) {
            let again = render::containerd_config(&config);
            prop_assert!(matches!(again, Ok(None)), "{}", config);
        }
    }

    #[test]
    fn what_engines_nodes_and_registries_say_is_a_text(text in any::<String>(), words in prop::sample::select(vec![
        "", "x509: ", "401 Unauthorized ", "Bearer realm=", "toomanyrequests: ", "no space left on device", "invalid character '<' ",
    ])) {
        let said = format!("{words}{text}");
        let _ = symptoms::find(&said);
        let _ = symptoms::find_in_pull(&said);
        let _ = symptoms::credentials::diagnose(&said);
    }
}
