//! What is asked: bytes that are ready but for what changes.

use std::{net::SocketAddr, sync::Arc};

use rand::{RngExt, SeedableRng, rngs::SmallRng};

use crate::dataset::{Keys, email};

/// An endless or finite run of requests.
pub trait Requests: Send {
    /// Writes the next request into `out`, which is empty; `false` when there is none.
    fn next(&mut self, out: &mut Vec<u8>) -> bool;
}

/// Always the same.
#[derive(Debug, Clone)]
pub struct FixedRequest(Vec<u8>);

impl FixedRequest {
    /// `GET` of a path, with these further header lines.
    pub fn get(address: SocketAddr, path: &str, headers: &[&str]) -> Self {
        Self(head("GET", address, path, headers))
    }
}

impl Requests for FixedRequest {
    fn next(&mut self, out: &mut Vec<u8>) -> bool {
        out.extend_from_slice(&self.0);
        true
    }
}

/// A request with an API key, drawn anew for each.
#[derive(Debug, Clone)]
pub struct KeyedRequest {
    text: Vec<u8>,
    /// Where the key stands in it.
    at: usize,
    keys: Arc<Keys>,
    order: Order,
}

#[derive(Debug, Clone)]
enum Order {
    /// Uniformly from all.
    Drawn(SmallRng),
    /// Each key once: what is left, from the first to before the second.
    Once(usize, usize),
}

impl KeyedRequest {
    /// Keys drawn uniformly from all there are.
    pub fn drawn(
        method: &str,
        address: SocketAddr,
        path: &str,
        keys: &Arc<Keys>,
        seed: u64,
    ) -> Self {
        let order = Order::Drawn(SmallRng::seed_from_u64(seed));
        Self::new(method, address, path, keys, order)
    }

    /// Every key once, shared among so many threads.
    pub fn once(
        method: &str,
        address: SocketAddr,
        path: &str,
        keys: &Arc<Keys>,
        threads: usize,
    ) -> Vec<Box<dyn Requests>> {
        let part = keys.len().div_ceil(threads);
        let orders = (0..threads).map(|thread| {
            let end = ((thread + 1) * part).min(keys.len());
            Order::Once((thread * part).min(end), end)
        });
        orders
            .map(|order| -> Box<dyn Requests> {
                Box::new(Self::new(method, address, path, keys, order))
            })
            .collect()
    }

    fn new(method: &str, address: SocketAddr, path: &str, keys: &Arc<Keys>, order: Order) -> Self {
        let blank = "-".repeat(Keys::LENGTH);
        let text = head(method, address, path, &[&format!("x-api-key: {blank}")]);
        let at = text
            .windows(blank.len())
            .position(|part| part == blank.as_bytes())
            .unwrap_or_default();
        Self {
            text,
            at,
            keys: Arc::clone(keys),
            order,
        }
    }
}

impl Requests for KeyedRequest {
    fn next(&mut self, out: &mut Vec<u8>) -> bool {
        let index = match &mut self.order {
            Order::Drawn(rng) => rng.random_range(0..self.keys.len()),
            Order::Once(next, end) if *next < *end => {
                *next += 1;
                *next - 1
            }
            Order::Once(..) => return false,
        };
        let key = self.keys.get(index).as_bytes();
        out.extend_from_slice(&self.text);
        out[self.at..self.at + Keys::LENGTH].copy_from_slice(key);
        true
    }
}

/// Sign-ins of many users from many addresses, so that no throttle answers in the
/// place of the work that is measured.
#[derive(Debug, Clone)]
pub struct SignInRequest {
    address: SocketAddr,
    users: usize,
    password: &'static str,
    rng: SmallRng,
}

impl SignInRequest {
    pub fn new(address: SocketAddr, users: usize, password: &'static str, seed: u64) -> Self {
        Self {
            address,
            users,
            password,
            rng: SmallRng::seed_from_u64(seed),
        }
    }
}

impl Requests for SignInRequest {
    fn next(&mut self, out: &mut Vec<u8>) -> bool {
        let email = email(self.rng.random_range(0..self.users));
        let password = self.password;
        let body = format!(r#"{{"email":"{email}","password":"{password}","cookie":false}}"#);
        let [_, b, c, d] = self.rng.random::<u32>().to_be_bytes();
        let from = format!("x-forwarded-for: 10.{b}.{c}.{d}");
        let length = format!("content-length: {}", body.len());
        let headers = [&from, &length, "content-type: application/json"];
        out.extend_from_slice(&head("POST", self.address, "/v1/auth/sign-in", &headers));
        out.extend_from_slice(body.as_bytes());
        true
    }
}

fn head(method: &str, address: SocketAddr, path: &str, headers: &[&str]) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\n");
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    text.into_bytes()
}
