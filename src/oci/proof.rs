//! Creates the proof image: the smallest image that runs, different each time.
//!
//! Pure: the same arguments give the same bytes. No cache can have its layer, so a node that runs it has pulled it from
//! the registry and trusted the registry's certificate.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use serde_json::json;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::archive::{Archive, ArchiveError};

/// What the program prints before it exits with 0.
pub const GREETING: &str = "kindreg: pulled and running\n";

/// Path of the program in the image.
const PROGRAM: &str = "proof";

/// Path of the random bytes that make the layer unique.
const NONCE: &str = "nonce";

/// The user `nobody`: the *restricted* Pod Security Standard allows only numeric users other than 0.
const USER: &str = "65534:65534";

/// An architecture for which the image can be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// 64-bit x86.
    Amd64,
    /// 64-bit ARM.
    Arm64,
}

/// An architecture for which no proof image can be created.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unsupported architecture {0:?}: must be amd64 (x86_64) or arm64 (aarch64)")]
pub struct UnknownArchitecture(pub String);

impl FromStr for Architecture {
    type Err = UnknownArchitecture;

    /// Parses OCI's name (used by images) or the kernel's (used by Docker's `/info`).
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "amd64" | "x86_64" => Ok(Self::Amd64),
            "arm64" | "aarch64" => Ok(Self::Arm64),
            other => Err(UnknownArchitecture(other.to_owned())),
        }
    }
}

impl fmt::Display for Architecture {
    /// Writes OCI's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        })
    }
}

/// An image as `docker load` reads it.
#[derive(Debug, Clone)]
pub struct ProofImage {
    /// The archive: `manifest.json`, the image's configuration, one uncompressed layer.
    pub archive: Bytes,
    /// Digest of the layer (`sha256:…`), different for each nonce.
    pub diff_id: String,
    /// Digest of the configuration (`sha256:…`): the image's id in an engine with the classic image store. An engine
    /// with containerd's store uses the digest of a manifest that it creates itself.
    pub config_digest: String,
    config: Bytes,
    layer: Bytes,
}

/// An image as registries store it.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The manifest, whose digest is the image's.
    pub manifest: Bytes,
    /// Configuration and layer.
    pub blobs: [Bytes; 2],
}

impl ProofImage {
    /// Returns the image as a registry stores it: <https://github.com/opencontainers/image-spec/blob/main/manifest.md>.
    #[must_use]
    pub fn stored(self) -> Stored {
        let descriptor = |kind: &str, digest: &str, blob: &Bytes| json!({"mediaType": format!("application/vnd.oci.image.{kind}"), "digest": digest, "size": blob.len()});
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("config.v1+json", &self.config_digest, &self.config),
            "layers": [descriptor("layer.v1.tar", &self.diff_id, &self.layer)],
        });
        Stored {
            manifest: manifest.to_string().into(),
            blobs: [self.config, self.layer],
        }
    }
}

/// Creates the image for an architecture. `docker load` names it `reference`; `nonce` makes its layer unique.
///
/// # Errors
/// The archive can't be written.
pub fn proof_image(
    architecture: Architecture,
    reference: &str,
    nonce: &[u8],
) -> Result<ProofImage, ArchiveError> {
    // The time is fixed, so that the same arguments give the same image.
    let archive = || Archive::dated(OffsetDateTime::UNIX_EPOCH);
    let layer = archive()
        .file(PROGRAM, 0o555, program(architecture))
        .file(NONCE, 0o444, nonce.to_vec())
        .into_bytes()?;
    let diff_id = hex::encode(Sha256::digest(&layer));

    // https://github.com/opencontainers/image-spec/blob/main/config.md
    let config = json!({
        "created": "1970-01-01T00:00:00Z",
        "architecture": architecture.to_string(),
        "os": "linux",
        "config": { "Entrypoint": [format!("/{PROGRAM}")], "User": USER, "WorkingDir": "/" },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{diff_id}")] },
        "history": [{ "created": "1970-01-01T00:00:00Z", "created_by": "kindreg" }],
    })
    .to_string();
    let config_digest = hex::encode(Sha256::digest(&config));

    // https://github.com/moby/docker-image-spec/blob/main/spec.md#combined-image-json--filesystem-changeset-format:
    // the only format that both Docker 20.10 and engines with containerd's store can load.
    let config_name = format!("{config_digest}.json");
    let layer_name = format!("{diff_id}.tar");
    let manifest = json!([{
        "Config": config_name,
        "RepoTags": [reference],
        "Layers": [layer_name],
    }])
    .to_string();
    Ok(ProofImage {
        archive: archive()
            .file("manifest.json", 0o644, manifest)
            .file(config_name, 0o644, config.clone())
            .file(layer_name, 0o644, layer.clone())
            .into_bytes()?,
        diff_id: format!("sha256:{diff_id}"),
        config_digest: format!("sha256:{config_digest}"),
        config: config.into(),
        layer,
    })
}

/// Sizes of an ELF header and of a program header for 64 bits, in bytes.
const ELF_HEADER: u16 = 64;
const PROGRAM_HEADER: u16 = 56;

/// Offset of the code, in the file and, from [`BASE`], in memory.
const CODE: u64 = ELF_HEADER as u64 + PROGRAM_HEADER as u64;

/// The address at which the file is mapped: a multiple of every page size (arm64 kernels use 4, 16 or 64 KiB).
const BASE: u64 = 0x40_0000;

/// Returns the program: headers, code, greeting. It is static, so it needs no other file.
///
/// The fields are those of elf(5), <https://man7.org/linux/man-pages/man5/elf.5.html>.
fn program(architecture: Architecture) -> Vec<u8> {
    let (machine, code) = match architecture {
        Architecture::Amd64 => (62_u16, AMD64.to_vec()), // EM_X86_64
        Architecture::Arm64 => (183, ARM64.map(u32::to_le_bytes).concat()), // EM_AARCH64
    };
    let size = CODE + (code.len() + GREETING.len()) as u64;

    let mut elf = Vec::new();
    elf.extend(b"\x7fELF"); // e_ident: magic number,
    elf.extend([2, 1, 1]); // 64 bits, little-endian, version 1,
    elf.extend([0; 9]); // System V ABI, padding
    elf.extend(2_u16.to_le_bytes()); // e_type: ET_EXEC, at a fixed address
    elf.extend(machine.to_le_bytes()); // e_machine
    elf.extend(1_u32.to_le_bytes()); // e_version
    elf.extend((BASE + CODE).to_le_bytes()); // e_entry
    elf.extend(u64::from(ELF_HEADER).to_le_bytes()); // e_phoff: the program header follows this one
    elf.extend(0_u64.to_le_bytes()); // e_shoff: no sections
    elf.extend(0_u32.to_le_bytes()); // e_flags
    elf.extend(ELF_HEADER.to_le_bytes()); // e_ehsize
    elf.extend(PROGRAM_HEADER.to_le_bytes()); // e_phentsize
    elf.extend(1_u16.to_le_bytes()); // e_phnum
    elf.extend([0; 6]); // e_shentsize, e_shnum, e_shstrndx: no sections

    elf.extend(1_u32.to_le_bytes()); // p_type: PT_LOAD
    elf.extend(5_u32.to_le_bytes()); // p_flags: PF_R | PF_X, never writable
    elf.extend(0_u64.to_le_bytes()); // p_offset: the whole file
    elf.extend(BASE.to_le_bytes()); // p_vaddr
    elf.extend(BASE.to_le_bytes()); // p_paddr: not used
    elf.extend(size.to_le_bytes()); // p_filesz
    elf.extend(size.to_le_bytes()); // p_memsz
    elf.extend(0x1_0000_u64.to_le_bytes()); // p_align: the largest page size

    elf.extend(code);
    elf.extend(GREETING.as_bytes());
    elf
}

/// Length of the greeting in bytes. The instructions below have a byte and 16 bits for it.
#[expect(
    clippy::cast_possible_truncation,
    reason = "checked when it is compiled"
)]
const LENGTH: u8 = {
    assert!(GREETING.len() < 256);
    GREETING.len() as u8
};

/// `write(1, greeting, length); exit(0)`. System calls: number in eax, arguments in rdi, rsi, rdx
/// (write is 1, exit 60: `arch/x86/entry/syscalls/syscall_64.tbl` in Linux).
#[rustfmt::skip]
const AMD64: [u8; 33] = [
    0xb8, 1, 0, 0, 0,               // mov eax, 1
    0xbf, 1, 0, 0, 0,               // mov edi, 1
    0x48, 0x8d, 0x35, 16, 0, 0, 0,  // lea rsi, [rip + 16]: the greeting lies 16 bytes after this instruction,
    0xba, LENGTH, 0, 0, 0,          // mov edx, length       5
    0x0f, 0x05,                     // syscall             + 2
    0xb8, 60, 0, 0, 0,              // mov eax, 60         + 5
    0x31, 0xff,                     // xor edi, edi        + 2
    0x0f, 0x05,                     // syscall             + 2
];

/// The same. System calls: number in x8, arguments in x0, x1, x2 (write is 64, exit 93:
/// `include/uapi/asm-generic/unistd.h` in Linux). An immediate of `mov` (movz) is in bits 5 to 20, of `adr` in 5 to 23
/// counted in words (its lowest two bits are 29 and 30).
#[rustfmt::skip]
const ARM64: [u32; 8] = [
    0xd280_0000 | (1 << 5),             // mov x0, #1
    0x1000_0001 | (7 << 5),             // adr x1, . + 28: the greeting lies 7 instructions from this one
    0xd280_0002 | ((LENGTH as u32) << 5), // mov x2, #length
    0xd280_0008 | (64 << 5),            // mov x8, #64
    0xd400_0001,                        // svc #0
    0xd280_0000,                        // mov x0, #0
    0xd280_0008 | (93 << 5),            // mov x8, #93
    0xd400_0001,                        // svc #0
];
