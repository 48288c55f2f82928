//! What an API key may do: parse, refuse, allow.
