//! The flags of this process and their values, as the API tells them.

use std::collections::BTreeMap;

use clap::{ArgMatches, Command};

/// What stands for a value that may hold credentials, as in Thanos.
const REDACTED: &str = "<REDACTED>";

/// Not of the component.
const OF_CLAP: [&str; 2] = ["help", "version"];

/// The flags of a command line with their values, those of its subcommands included.
pub(super) fn of(command: &Command, matches: &ArgMatches) -> BTreeMap<String, String> {
    let mut flags = BTreeMap::new();
    add(command, matches, &mut flags);
    flags
}

fn add(command: &Command, matches: &ArgMatches, flags: &mut BTreeMap<String, String>) {
    for arg in command.get_arguments() {
        let Some(name) = arg.get_long().filter(|name| !OF_CLAP.contains(name)) else {
            continue;
        };
        let given = matches.try_get_raw(arg.get_id().as_str()).ok().flatten();
        let given = given.map(|all| {
            let all = all.map(|value| value.to_string_lossy().into_owned());
            all.collect::<Vec<_>>().join(",")
        });
        let value = match given {
            Some(value) if !value.is_empty() && is_secret(name) => REDACTED.to_owned(),
            value => value.unwrap_or_default(),
        };
        flags.insert(name.to_owned(), value);
    }
    let Some((name, matches)) = matches.subcommand() else {
        return;
    };
    if let Some(command) = command.find_subcommand(name) {
        add(command, matches, flags);
    }
}

/// Whether the value may hold credentials.
fn is_secret(name: &str) -> bool {
    // YAML in the flag itself, clients, and URLs with a user in them.
    name.starts_with("objstore")
        || name.starts_with("prometheus.")
        || name.ends_with(".config") && name != "http.config"
        || name.ends_with("http-client")
        || name == "compact.keep-until-served"
}

#[cfg(test)]
mod tests {
    use crate::cli::Cli;

    #[test]
    fn the_api_tells_flags_with_their_defaults_and_no_secrets() {
        let words = [
            "varve",
            "compact",
            "--wait",
            "--deduplication.replica-label=a",
            "--deduplication.replica-label=b",
            "--objstore.config={type: S3, config: {secret_key: x}}",
            "--compact.keep-until-served=http://u:x@store:10902",
            "--compact.store-http-client={bearer_token: x}",
        ];
        let flags = Cli::parse_words(words).unwrap().flags;
        let of = |name: &str| flags.get(name).map(String::as_str);
        assert_eq!(of("wait"), Some("true"));
        assert_eq!(of("downsampling.disable"), Some("false"));
        assert_eq!(of("delete-delay"), Some("48h"));
        assert_eq!(of("deduplication.replica-label"), Some("a,b"));
        assert_eq!(of("objstore.config"), Some("<REDACTED>"));
        assert_eq!(of("objstore.config-file"), Some(""));
        assert_eq!(of("compact.keep-until-served"), Some("<REDACTED>"));
        assert_eq!(of("compact.store-http-client"), Some("<REDACTED>"));
        assert_eq!(of("log.level"), Some("info"));
        assert_eq!(of("help"), None);
    }
}
