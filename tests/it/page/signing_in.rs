//! Keys: without one the page says what it is; with one it shows what the role allows.

use super::{Browser, Scene};
use crate::harness::{eventually, keys};

#[tokio::test]
async fn without_a_key_the_page_says_what_it_is_and_shows_the_public_summary() {
    let scene = Scene::night().await;
    let Some(browser) = Browser::open(scene.service.address()).await else { return };
    browser.until_text("answers questions about what was seen before").await;
    browser.until_text("fire now").await;
    browser
        .until(
            "the figures are there",
            "document.querySelector('.numbers strong')?.innerText === '7'",
        )
        .await;
    assert_eq!(browser.count("#nav a").await, 0);
    // The summary is public; what helps is not.
    let text = browser.text("body").await;
    assert!(text.contains("DiskAlmostFull") && !text.contains("Delete archived WAL"), "{text}");
    browser.screenshot("landing").await;
    browser.assert_accessible("without a key").await;
    browser.assert_clean(&[]).await;
}

#[tokio::test]
async fn a_wrong_key_is_said_to_be_wrong_and_a_good_one_is_kept_until_sign_out() {
    let scene = Scene::empty().await;
    let Some(browser) = Browser::open(scene.service.address()).await else { return };
    browser.write("input[type=password]", "no-key-of-this-service-0123456789").await;
    browser.press("Open").await;
    browser.until_text("The service does not know this key.").await;
    browser.sign_in(keys::VIEWER).await;
    browser.until_text("Nothing fires.").await;
    // Not in the address, and not where another tab or a later day would find it.
    let kept = "return location.href + document.cookie + JSON.stringify({ ...localStorage })";
    let kept = browser.js(kept, &[]).await;
    assert!(!kept.as_str().unwrap().contains(keys::VIEWER), "{kept}");
    browser.load("#/history").await;
    browser.until_text("Alerts a day").await;
    browser.press("Sign out").await;
    browser.until("it asks for a key", "document.querySelector('input[type=password]')").await;
    assert!(browser.js("return sessionStorage.getItem('orchestrator.key')", &[]).await.is_null());
    browser.assert_clean(&["401"]).await;
}

#[tokio::test]
async fn a_viewer_sees_no_way_to_change_anything() {
    let scene = Scene::night().await;
    let Some(browser) = Browser::signed_in(scene.service.address(), keys::VIEWER).await else {
        return;
    };
    browser.visit("#/alert/DiskAlmostFull").await;
    browser.until_text("Do first").await;
    browser.until_text("Also known about it").await;
    for address in ["#/alert/DiskAlmostFull", "#/ask", "#/knowledge", "#/history"] {
        browser.visit(address).await;
        browser.until("the view is there", "document.querySelector('main h1')").await;
        for text in ["This helped", "Add note", "New entry", "Edit", "Delete", "Answer"] {
            let script = "return [...document.querySelectorAll('main a, main button')]
                .some((one) => one.innerText.trim() === arguments[0])";
            let there = browser.js(script, &[text.into()]).await;
            assert!(there == false, "{text} at {address}");
        }
    }
    browser.visit("#/ask").await;
    browser.until_text("it takes a key of the role operator").await;
    browser.visit("#/new").await;
    browser.until_text("Changing entries takes a key of the role operator.").await;
    browser.assert_clean(&[]).await;
}

#[tokio::test]
async fn a_key_that_is_taken_away_ends_what_is_shown() {
    let scene = Scene::night().await;
    let Some(browser) = Browser::signed_in(scene.service.address(), keys::OPERATOR).await else {
        return;
    };
    browser.until_text("Do first").await;
    // What another program of this browser would leave there.
    browser
        .js(
            "sessionStorage.setItem('orchestrator.key', 'an-old-key-of-the-service-0123456789')",
            &[],
        )
        .await;
    browser.visit("#/knowledge").await;
    browser.until_text("The key is not accepted any more.").await;
    assert!(!browser.text("body").await.contains("Delete archived WAL"));
    eventually("nothing more is asked", async || {
        (browser.count("#nav a").await == 0).then_some(())
    })
    .await;
    browser.assert_clean(&["401"]).await;
}
