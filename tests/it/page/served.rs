//! The page as it is sent: its policy, its validators, its size.

use orchestrator::http::web;

use crate::harness::Place;

/// The addresses of the files that the page names.
fn files(page: &str) -> Vec<String> {
    let named = page.split("\"/assets/").skip(1);
    named.map(|rest| format!("/assets/{}", rest.split('"').next().unwrap())).collect()
}

#[tokio::test]
async fn the_page_lets_a_browser_run_nothing_but_its_own_files() {
    let place = Place::sqlite();
    let service = place.start().await;
    let answer = service.anonymous().get("/").await.expect(200);
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    let policy = answer.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(policy.contains("require-trusted-types-for 'script'"), "{policy}");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    let page = answer.text();
    for outside in ["http:", "https:", "<style", " style=", "onclick", "onload"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(!page.replace("<script defer src=\"/assets/", "").contains("<script"), "{page}");
}

#[tokio::test]
async fn its_files_are_kept_for_ever_and_the_page_is_asked_for_again() {
    let place = Place::sqlite();
    let service = place.start().await;
    let stranger = service.anonymous();
    let page = stranger.get("/").await.expect(200);
    assert_eq!(page.header("cache-control"), "no-cache");
    let etag = page.header("etag").to_owned();
    assert_eq!(etag, format!("\"{}\"", web::edition()));
    let again = stranger.clone().with("if-none-match", &etag);
    let unchanged = again.get("/").await.expect(304);
    assert!(unchanged.body.is_empty() && unchanged.header("etag") == etag);
    for path in files(&page.text()) {
        let file = stranger.get(&path).await.expect(200);
        assert_eq!(file.header("cache-control"), "public, max-age=31536000, immutable", "{path}");
        let kind = file.header("content-type");
        let expected = match path.rsplit('.').next().unwrap() {
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            _ => "image/svg+xml",
        };
        assert_eq!(kind, expected, "{path}");
        again.get(&path).await.expect(304);
    }
}

#[tokio::test]
async fn a_file_of_another_edition_or_of_no_name_is_404() {
    let place = Place::sqlite();
    let service = place.start().await;
    let edition = web::edition();
    for path in [
        "/assets/0123456789abcdef/main.js".to_owned(),
        format!("/assets/{edition}/index.html"),
        format!("/assets/{edition}/..%2fCargo.toml"),
        format!("/assets/{edition}/%ff"),
        format!("/assets/{edition}/"),
        format!("/assets/{edition}"),
        "/assets/".to_owned(),
    ] {
        assert_eq!(service.anonymous().get(&path).await.expect(404).error(), "Not found", "{path}");
    }
}

#[tokio::test]
async fn all_of_it_is_small() {
    let place = Place::sqlite();
    let service = place.start().await;
    let client = reqwest::Client::builder().no_proxy().no_gzip().build().unwrap();
    let get = async |path: &str| {
        let url = format!("http://{}{path}", service.address());
        let answer = client.get(url).header("accept-encoding", "gzip").send().await.unwrap();
        // The status line, and each header with its colon, space and line end.
        let head: usize = answer
            .headers()
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 4)
            .sum();
        head + 19 + answer.bytes().await.unwrap().len()
    };
    let mut bytes = get("/").await;
    for path in files(web::page()) {
        bytes += get(&path).await;
    }
    assert!(bytes < 60_000, "{bytes} bytes over the wire");
}
