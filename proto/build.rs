//! Compiles the wire types without a protoc: protox parses `wire/*.proto`, tonic-prost-build writes Rust.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;
use prost_types::{FileDescriptorProto, FileDescriptorSet, field_descriptor_proto::Type};

/// What a store gateway speaks.
const STORE: [&str; 4] = [
    "store.proto",
    "info.proto",
    "hints.proto",
    "prometheus.proto",
];

/// What a sidecar speaks besides.
const SIDECAR: [&str; 5] = [
    "rules.proto",
    "targets.proto",
    "metadata.proto",
    "exemplars.proto",
    "status.proto",
];

/// The strings that are generated as [`bytes::Bytes`], as package, message and field. On the wire both kinds are the same.
/// Names and values of labels need not be UTF-8: what is written in Go sends them as they are. And an answer holds
/// millions of them, of which slices of one buffer cost no allocation each.
const BYTES: [(&str, &str, &str); 8] = [
    ("thanos", "Label", "name"),
    ("thanos", "Label", "value"),
    ("thanos", "LabelMatcher", "value"),
    ("thanos", "LabelNamesResponse", "names"),
    ("thanos", "LabelValuesResponse", "values"),
    ("prometheus", "Label", "name"),
    ("prometheus", "Label", "value"),
    ("prometheus", "LabelMatcher", "value"),
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=wire");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let mut set = protox::compile(STORE.iter().chain(&SIDECAR), ["wire"])?;
    // Clients that ask by reflection are told the truth: the fields are strings.
    let of_sidecar = |file: &FileDescriptorProto| SIDECAR.contains(&file.name());
    let (sidecar, store) = set.file.iter().cloned().partition(of_sidecar);
    for (name, file) in [("store.bin", store), ("sidecar.bin", sidecar)] {
        fs::write(out.join(name), FileDescriptorSet { file }.encode_to_vec())?;
    }
    generate_as_bytes(&mut set);
    tonic_prost_build::configure().bytes(".").compile_fds(set)?;
    Ok(())
}

fn generate_as_bytes(set: &mut FileDescriptorSet) {
    for file in &mut set.file {
        let package = file.package().to_owned();
        for message in &mut file.message_type {
            let name = message.name().to_owned();
            for field in &mut message.field {
                if BYTES.contains(&(&package, &name, field.name())) {
                    field.set_type(Type::Bytes);
                }
            }
        }
    }
}
