//! What the page costs, in requests: a page that nobody looks at asks nothing, and one that is
//! looked at asks for what comes from memory, and for nothing else while nothing changes.

use super::{Browser, Scene};
use crate::harness::{eventually, keys};

/// Counts the page's calls by path, from now on.
const COUNT: &str = "window.__calls = {}; const original = window.fetch;
    window.fetch = async (path, options) => {
        const answer = await original(path, options);
        const key = `${path.split('?')[0]} ${answer.status}`;
        window.__calls[key] = (window.__calls[key] ?? 0) + 1;
        return answer;
    }";

#[tokio::test]
async fn an_idle_page_asks_for_nothing_but_whether_the_summary_changed() {
    let scene = Scene::night().await;
    let Some(browser) = Browser::signed_in(scene.service.address(), keys::VIEWER).await else {
        return;
    };
    browser.until_text("7 alerts fire in 4 groups").await;
    browser.until("its week is drawn", "document.querySelector('.detail svg rect')").await;
    browser.js(COUNT, &[]).await;
    let calls = eventually("it has asked twice", async || {
        let calls = browser.js("return window.__calls", &[]).await;
        let asked: u64 = calls.as_object().unwrap().values().filter_map(|n| n.as_u64()).sum();
        (asked >= 2).then_some(calls)
    })
    .await;
    for call in calls.as_object().unwrap().keys() {
        assert!(call.starts_with("/api/knowledge/summary"), "{calls}");
    }
    browser.assert_clean(&[]).await;
}
