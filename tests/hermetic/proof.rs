//! The proof image: it runs, it is what `docker load` expects, and it is tiny and unlike any other.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use anyhow::{Context, Result};
use kindreg::internal::archive::files;
use kindreg::internal::oci::proof::{
    Architecture, GREETING, ProofImage, UnknownArchitecture, proof_image,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const REFERENCE: &str = "registry.test:5001/kindreg/proof:demo";

fn made(architecture: Architecture) -> Result<ProofImage> {
    Ok(proof_image(architecture, REFERENCE, b"0123456789abcdef")?)
}

fn layer(image: &ProofImage) -> Result<Vec<u8>> {
    let name = image.diff_id.replace("sha256:", "") + ".tar";
    Ok(files(&image.archive)?[&name].content.to_vec())
}

fn program(architecture: Architecture) -> Result<Vec<u8>> {
    let files = files(&layer(&made(architecture)?)?)?;
    assert_eq!(files["proof"].mode, 0o555);
    Ok(files["proof"].content.to_vec())
}

#[test]
fn the_program_of_this_machine_runs_greets_and_succeeds() -> Result<()> {
    let ours: Architecture = std::env::consts::ARCH.parse()?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("proof");
    std::fs::write(&file, program(ours)?)?;
    std::fs::set_permissions(&file, Permissions::from_mode(0o555))?;
    let output = Command::new(&file).env_clear().output()?;
    assert_eq!(String::from_utf8(output.stdout)?, GREETING);
    assert_eq!(output.status.code(), Some(0));
    Ok(())
}

#[test]
fn every_program_is_a_static_elf_for_its_processor_that_ends_with_the_greeting() -> Result<()> {
    for (architecture, machine) in [(Architecture::Amd64, 62), (Architecture::Arm64, 183)] {
        let elf = program(architecture)?;
        let number = |at: usize, bytes: usize| -> u64 {
            elf[at..at + bytes]
                .iter()
                .rev()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
        };
        assert!(elf.len() < 512, "{architecture}: {} bytes", elf.len());
        assert_eq!(&elf[..7], b"\x7fELF\x02\x01\x01");
        assert_eq!((number(16, 2), number(18, 2)), (2, machine));
        // One program header, right after the ELF header: PT_LOAD, readable and executable, the whole file.
        assert_eq!((number(32, 8), number(54, 2), number(56, 2)), (64, 56, 1));
        assert_eq!((number(64, 4), number(68, 4), number(72, 8)), (1, 5, 0));
        assert_eq!(
            (number(96, 8), number(104, 8)),
            (elf.len() as u64, elf.len() as u64)
        );
        let entry = number(24, 8) - number(80, 8);
        assert_eq!(entry, 120);
        assert!(elf.ends_with(GREETING.as_bytes()));
    }
    Ok(())
}

#[test]
fn the_archive_is_what_docker_load_expects_and_its_digests_agree() -> Result<()> {
    for architecture in [Architecture::Amd64, Architecture::Arm64] {
        let image = made(architecture)?;
        let files = files(&image.archive)?;
        let digest = |content: &[u8]| format!("sha256:{}", hex::encode(Sha256::digest(content)));
        let manifest: Value = serde_json::from_slice(&files["manifest.json"].content)?;
        let [manifest] = manifest.as_array().context("no array")?.as_slice() else {
            anyhow::bail!("not one image");
        };
        assert_eq!(manifest["RepoTags"], json!([REFERENCE]));

        let config = &files[manifest["Config"].as_str().context("no config")?].content;
        assert_eq!(digest(config), image.config_digest);
        let config: Value = serde_json::from_slice(config)?;
        assert_eq!(config["os"], "linux");
        assert_eq!(config["architecture"], architecture.to_string());
        assert_eq!(config["config"]["Entrypoint"], json!(["/proof"]));
        assert_eq!(config["rootfs"]["diff_ids"], json!([image.diff_id]));

        assert_eq!(manifest["Layers"].as_array().map(Vec::len), Some(1));
        let layer = &files[manifest["Layers"][0].as_str().context("no layer")?].content;
        assert_eq!(digest(layer), image.diff_id);
        assert!(layer.len() < 10 * 1024, "{} bytes", layer.len());
        assert_eq!(files.len(), 3);
    }
    Ok(())
}

#[test]
fn the_nonce_makes_the_layer_unique_and_nothing_else_does() -> Result<()> {
    let image = |reference, nonce| proof_image(Architecture::Amd64, reference, nonce);
    let one = image(REFERENCE, b"1")?;
    assert_eq!(one.archive, image(REFERENCE, b"1")?.archive);
    assert_ne!(one.diff_id, image(REFERENCE, b"2")?.diff_id);
    assert_eq!(one.diff_id, image("localhost:5001/other:x", b"1")?.diff_id);
    assert_eq!(files(&layer(&one)?)?["nonce"].content, b"1"[..]);
    Ok(())
}

#[test]
fn architectures_have_docker_s_names_and_others_are_refused_by_name() {
    for (name, architecture) in [
        ("amd64", Architecture::Amd64),
        ("x86_64", Architecture::Amd64),
        ("arm64", Architecture::Arm64),
        ("aarch64", Architecture::Arm64),
    ] {
        assert_eq!(name.parse(), Ok(architecture));
    }
    let refused = "riscv64".parse::<Architecture>();
    assert_eq!(refused, Err(UnknownArchitecture("riscv64".into())));
    let said = UnknownArchitecture("riscv64".into()).to_string();
    assert!(said.contains("riscv64") && said.contains("arm64"), "{said}");
}
