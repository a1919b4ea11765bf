//! The page for people: its HTML, and the files that it is made of. It holds no data.

use axum::{
    body::Body,
    extract::{FromRequestParts, Path},
    http::{HeaderName, HeaderValue, header},
    response::Response,
};

use crate::http::{Error, etag, extract::GuardedRequest, not_modified, state::App, web};

/// What a browser lets the page do: its own scripts, styles, pictures and calls, and nothing of
/// anybody else's; no script made of text, and no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// What goes with the page, so that it is safe with what it shows.
const PROTECTION: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_FRAME_OPTIONS, "DENY"),
    // Addresses of the page name alerts; who runs a linked runbook need not learn them.
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// `GET /`: the page.
#[utoipa::path(get, path = "/", operation_id = "getPage", responses(
    (status = 200, description = "The page for people", content_type = "text/html"),
    (status = 304, description = "Unchanged")
))]
pub async fn page(_: App, request: GuardedRequest) -> Result<Response, Error> {
    // Asked for each time, so that a new version of the program is seen at once.
    let kind = "text/html; charset=utf-8";
    let mut response = answer(&request, web::page().as_bytes(), kind, "no-cache");
    for (name, value) in PROTECTION {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

/// `GET /assets/{edition}/{file}`: a file of the page; one of another edition is 404.
#[utoipa::path(get, path = "/assets/{edition}/{file}", operation_id = "getAsset",
    params(("edition" = String, Path, description = "The edition that the page names"),
        ("file" = String, Path, description = "The file's name")),
    responses((status = 200, description = "A file of the page"),
        (status = 304, description = "Unchanged"),
        (status = 404, description = "No such file in this version of the program")))]
pub async fn asset(_: App, mut request: GuardedRequest) -> Result<Response, Error> {
    let path = Path::<(String, String)>::from_request_parts(&mut request.parts, &()).await;
    let Path((edition, name)) = path.map_err(|_| Error::NotFound)?;
    let file = web::file(&name).filter(|_| edition == web::edition()).ok_or(Error::NotFound)?;
    let cached = "public, max-age=31536000, immutable";
    Ok(answer(&request, file.bytes, file.media_type(), cached))
}

/// The edition says what both the page and its files hold.
fn answer(
    request: &GuardedRequest,
    bytes: &'static [u8],
    media_type: &'static str,
    cached: &'static str,
) -> Response {
    let etag = format!("\"{}\"", web::edition());
    let mut response = match etag::is_known(&request.parts.headers, &etag) {
        true => not_modified(),
        false => Response::new(Body::from(bytes)),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cached));
    // No page of another origin can use it.
    let policy = HeaderName::from_static("cross-origin-resource-policy");
    headers.insert(policy, HeaderValue::from_static("same-origin"));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, etag);
    }
    response
}
