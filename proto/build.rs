//! Compiles the wire types without a protoc: protox parses `wire/*.proto`, tonic-prost-build writes Rust.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;
use prost_types::{FileDescriptorSet, field_descriptor_proto::Type};

const FILES: [&str; 4] = [
    "store.proto",
    "info.proto",
    "hints.proto",
    "prometheus.proto",
];

/// The message whose strings are generated as [`bytes::Bytes`]: an answer holds millions of them,
/// and slices of one buffer cost no allocation each. On the wire both kinds are the same.
const LABEL: (&str, &str) = ("thanos", "Label");

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=wire");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let mut set = protox::compile(FILES, ["wire"])?;
    // Clients that ask by reflection are told the truth: the fields are strings.
    fs::write(out.join("descriptors.bin"), set.encode_to_vec())?;
    generate_labels_as_bytes(&mut set);
    tonic_prost_build::configure().bytes(".").compile_fds(set)?;
    Ok(())
}

fn generate_labels_as_bytes(set: &mut FileDescriptorSet) {
    let files = set.file.iter_mut().filter(|f| f.package() == LABEL.0);
    let messages = files.flat_map(|f| &mut f.message_type);
    for label in messages.filter(|m| m.name() == LABEL.1) {
        for field in &mut label.field {
            field.set_type(Type::Bytes);
        }
    }
}
