//! Basic authentication: passwords that are compared with bcrypt hashes.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    sync::Arc,
};

use axum::http::{HeaderMap, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bcrypt::HashParts;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use crate::{blocking, secret::Secret};

/// Comparisons that are remembered of each kind; then all of the kind are forgotten.
const REMEMBERED: usize = 100;

/// Compares passwords, one at a time, and remembers how each comparison ended.
pub(super) struct Passwords {
    /// So that what is remembered cannot be guessed.
    salt: [u8; 32],
    known: Mutex<Known>,
    turn: Arc<Semaphore>,
}

/// Digests of a user, the hash and a password.
#[derive(Default)]
struct Known {
    right: HashSet<[u8; 32]>,
    wrong: HashSet<[u8; 32]>,
}

/// The user and password of a request.
struct Credentials {
    user: String,
    password: Vec<u8>,
}

/// Refuses hashes that are not bcrypt's.
pub(super) fn check(users: &BTreeMap<String, Secret>) -> Result<(), String> {
    for (user, hash) in users {
        if hash.0.parse::<HashParts>().is_err() {
            return Err(format!(
                "basic_auth_users: {user}: expected a bcrypt hash of the password"
            ));
        }
    }
    Ok(())
}

impl Passwords {
    /// One that remembers nothing yet.
    pub(super) fn new() -> Self {
        let mut salt = [0; 32];
        // Without random numbers TLS would not run either; what is remembered is still no password.
        let _ = getrandom::fill(&mut salt);
        Self {
            salt,
            known: Mutex::default(),
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// Whether a request has the name and password of one of `users`.
    pub(super) async fn allow(
        &self,
        users: &BTreeMap<String, Secret>,
        headers: &HeaderMap,
    ) -> bool {
        let Some(Credentials { user, password }) = Credentials::of(headers) else {
            return false;
        };
        let own = users.get(&user);
        // An unknown user takes as long as a known one.
        let Some(hash) = own.or_else(|| users.values().next()) else {
            return false;
        };
        self.is_right(&user, hash, password).await && own.is_some()
    }

    /// Whether a password is that of a hash.
    async fn is_right(&self, user: &str, hash: &Secret, password: Vec<u8>) -> bool {
        let key = self.key(user, &hash.0, &password);
        if let Some(known) = self.known(&key) {
            return known;
        }
        let Ok(turn) = Arc::clone(&self.turn).acquire_owned().await else {
            return false;
        };
        // Someone before us may have compared the same.
        if let Some(known) = self.known(&key) {
            return known;
        }
        let hash = hash.clone();
        let right = blocking(move || {
            let right = bcrypt::verify(password, &hash.0).unwrap_or(false);
            // Whoever asked may have left by now: the turn ends with the work.
            drop(turn);
            right
        })
        .await;
        self.remember(key, right);
        right
    }

    fn key(&self, user: &str, hash: &str, password: &[u8]) -> [u8; 32] {
        let mut digest = Sha256::new_with_prefix(self.salt);
        for part in [user.as_bytes(), hash.as_bytes(), password] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }

    fn known(&self, key: &[u8; 32]) -> Option<bool> {
        let known = self.known.lock();
        match (known.right.contains(key), known.wrong.contains(key)) {
            (false, false) => None,
            (right, _) => Some(right),
        }
    }

    /// Wrong passwords push no right one out.
    fn remember(&self, key: [u8; 32], right: bool) {
        let mut known = self.known.lock();
        let kind = match right {
            true => &mut known.right,
            false => &mut known.wrong,
        };
        if kind.len() >= REMEMBERED {
            kind.clear();
        }
        kind.insert(key);
    }
}

impl Credentials {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(header::AUTHORIZATION)?.as_bytes();
        let (scheme, encoded) = value.split_at_checked("Basic ".len())?;
        if !scheme.eq_ignore_ascii_case(b"Basic ") {
            return None;
        }
        let decoded = STANDARD.decode(encoded).ok()?;
        let colon = decoded.iter().position(|b| *b == b':')?;
        let (user, password) = decoded.split_at_checked(colon)?;
        Some(Self {
            user: String::from_utf8(user.to_vec()).ok()?,
            password: password.get(1..)?.to_vec(),
        })
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passwords")
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn basic(text: &str) -> HeaderMap {
        let value = format!("bASIC {}", STANDARD.encode(text));
        let value = HeaderValue::from_str(&value).unwrap();
        HeaderMap::from_iter([(header::AUTHORIZATION, value)])
    }

    fn users() -> BTreeMap<String, Secret> {
        // bcrypt of `right`, at the least cost.
        let hash = bcrypt::hash("right", 4).unwrap();
        BTreeMap::from([("ann".to_owned(), Secret(hash))])
    }

    #[tokio::test]
    async fn only_a_known_user_with_the_right_password_is_allowed() {
        let (passwords, users) = (Passwords::new(), users());
        // Twice: compared, and remembered.
        for _ in 0..2 {
            assert!(passwords.allow(&users, &basic("ann:right")).await);
            for wrong in [
                "ann:wrong",
                "bob:right",
                "ann",
                "ann:",
                ":right",
                "ann:right ",
            ] {
                assert!(!passwords.allow(&users, &basic(wrong)).await, "{wrong}");
            }
        }
        assert!(!passwords.allow(&users, &HeaderMap::new()).await);
        let bearer =
            HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static("Bearer x"))]);
        assert!(!passwords.allow(&users, &bearer).await);
        // A new hash means a new password.
        let other = bcrypt::hash("other", 4).unwrap();
        let users = BTreeMap::from([("ann".to_owned(), Secret(other))]);
        assert!(!passwords.allow(&users, &basic("ann:right")).await);
        assert!(passwords.allow(&users, &basic("ann:other")).await);
        // A user who has gone is unknown, also if another has the same hash.
        let renamed = users.into_values().map(|hash| ("bob".to_owned(), hash));
        let users = renamed.collect();
        assert!(!passwords.allow(&users, &basic("ann:other")).await);
        assert!(passwords.allow(&users, &basic("bob:other")).await);
    }

    #[tokio::test]
    async fn the_same_password_is_compared_once_and_wrong_ones_push_it_out_of_nowhere() {
        let (passwords, users) = (Passwords::new(), users());
        assert!(passwords.allow(&users, &basic("ann:right")).await);
        for wrong in 0..=REMEMBERED {
            let wrong = basic(&format!("ann:{wrong}"));
            assert!(!passwords.allow(&users, &wrong).await);
        }
        // No comparison can take place any more.
        passwords.turn.close();
        assert!(passwords.allow(&users, &basic("ann:right")).await);
        assert!(!passwords.allow(&users, &basic("ann:new")).await);
        assert!(passwords.known.lock().wrong.len() <= REMEMBERED);
    }

    #[test]
    fn a_hash_that_is_not_of_bcrypt_is_refused_and_not_shown() {
        let users = BTreeMap::from([("ann".to_owned(), Secret("plain-secret".to_owned()))]);
        let error = check(&users).unwrap_err();
        assert_eq!(
            error,
            "basic_auth_users: ann: expected a bcrypt hash of the password"
        );
        assert!(!format!("{users:?}").contains("plain-secret"));
        for version in ["2a", "2b", "2y"] {
            // Of Apache's htpasswd and others.
            let hash =
                format!("${version}$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG");
            let users = BTreeMap::from([("ann".to_owned(), Secret(hash))]);
            assert_eq!(check(&users), Ok(()));
        }
    }
}
