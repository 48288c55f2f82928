//! Style, script and icon: part of the program, under names that hold their hash, so that
//! browsers keep them for ever (contract H4).

use std::{io::Write, sync::LazyLock};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, HeaderMap},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use flate2::{Compression, write::GzEncoder};
use remotegpu_edge::{ApiError, ErrorCode};
use sha2::{Digest, Sha256};

/// One of them.
pub(crate) struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

/// An asset as it is served.
struct Served {
    path: String,
    kind: &'static str,
    bytes: &'static [u8],
    gzip: Vec<u8>,
}

const ALL: [Asset; 3] = [
    Asset {
        name: "console.css",
        kind: "text/css; charset=utf-8",
        bytes: include_bytes!("../assets/console.css"),
    },
    Asset {
        name: "console.js",
        kind: "text/javascript; charset=utf-8",
        bytes: include_bytes!("../assets/console.js"),
    },
    Asset {
        name: "icon.svg",
        kind: "image/svg+xml",
        bytes: include_bytes!("../assets/icon.svg"),
    },
];

static SERVED: LazyLock<Vec<Served>> = LazyLock::new(|| ALL.iter().map(serve).collect());

fn serve(asset: &Asset) -> Served {
    let hash = Sha256::digest(asset.bytes);
    let hash = URL_SAFE_NO_PAD.encode(&hash[..9]);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    // Writing into memory does not fail; what is not smaller is not used.
    let gzip = match gzip.write_all(asset.bytes) {
        Ok(()) => gzip.finish().unwrap_or_default(),
        Err(_) => Vec::new(),
    };
    Served {
        path: format!("/assets/{hash}/{}", asset.name),
        kind: asset.kind,
        bytes: asset.bytes,
        gzip,
    }
}

/// The address of the asset of this name.
pub(crate) fn address(name: &str) -> &'static str {
    let mut all = SERVED.iter();
    all.find(|asset| asset.path.ends_with(name))
        .map_or("", |asset| asset.path.as_str())
}

/// `GET /assets/{hash}/{name}`
pub(crate) async fn asset(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let mut all = SERVED.iter();
    let found = all.find(|asset| asset.path == request.path());
    let found = found.ok_or(ErrorCode::NotFound)?;
    let mut answer = HttpResponse::Ok();
    answer
        .insert_header((header::CONTENT_TYPE, found.kind))
        .insert_header((header::CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .insert_header((header::VARY, "accept-encoding"));
    if takes_gzip(request.headers()) && !found.gzip.is_empty() {
        answer.insert_header((header::CONTENT_ENCODING, "gzip"));
        return Ok(answer.body(found.gzip.clone()));
    }
    Ok(answer.body(found.bytes))
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING);
    let mut ranges = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    ranges.any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_gzip = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        is_gzip && !parts.any(|part| matches!(part, "q=0" | "q=0.0"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_holds_the_hash_and_finds_its_asset() {
        // H4
        for asset in &ALL {
            let path = address(asset.name);
            let parts: Vec<&str> = path.split('/').collect();
            assert_eq!(parts.len(), 4, "{path}");
            assert_eq!(parts[2].len(), 12, "{path}");
            assert!(!serve(asset).gzip.is_empty());
        }
        assert_eq!(address("nothing.css"), "");
    }

    #[test]
    fn the_script_is_small() {
        let script = ALL[1].bytes.len();
        assert!(script <= 5000, "{script} bytes");
    }
}
