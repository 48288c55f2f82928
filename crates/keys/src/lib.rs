//! API keys: the secret, its hash and checksum, and the key's life.
