//! Now: what fires, live, and one alert by its name.

use fantoccini::key::Key;
use serde_json::json;

use super::{Browser, Scene, data::alert};
use crate::harness::keys;

#[tokio::test]
async fn what_fires_is_grouped_with_the_worst_first_and_the_one_thing_to_do() {
    let scene = Scene::night().await;
    let Some(browser) = Browser::signed_in(scene.service.address(), keys::OPERATOR).await else {
        return;
    };
    browser.until_text("7 alerts fire in 4 groups · 1 critical").await;
    let rows = browser
        .js(
            "return [...document.querySelectorAll('.overview .row')].map((row) => row.innerText)",
            &[],
        )
        .await;
    let rows: Vec<&str> = rows.as_array().unwrap().iter().filter_map(|row| row.as_str()).collect();
    assert_eq!(rows.len(), 4);
    for part in [
        "critical",
        "DiskAlmostFull",
        "×3",
        " min",
        "db-1.fra.example.org:9100",
        "Delete archived WAL, then grow the volume",
    ] {
        assert!(rows[0].contains(part), "{part}: {}", rows[0]);
    }
    assert!(rows[1].contains("PaymentQueueGrowing") && rows[3].contains("CertificateExpiring"));
    // The worst is open beside the list.
    browser
        .until("its places are listed", "document.querySelectorAll('.instances .row').length === 3")
        .await;
    browser.until_text("Also known about it").await;
    browser.until("its week is drawn", "document.querySelector('.detail svg rect')").await;
    browser.screenshot("now").await;
    browser.assert_accessible("now").await;
    browser.write("input[type=search]", "queue-3").await;
    browser.until_text("1 shown").await;
    browser.write("input[type=search]", "nothing like it").await;
    browser.until_text("Nothing that fires matches the filter.").await;
    browser.assert_clean(&[]).await;
}

#[tokio::test]
async fn a_change_is_seen_without_reloading() {
    let scene = Scene::empty().await;
    let Some(browser) = Browser::signed_in(scene.service.address(), keys::VIEWER).await else {
        return;
    };
    browser.until_text("Nothing fires.").await;
    let disk = alert("DiskAlmostFull", "critical", "db-1", 3);
    scene.notify([disk.clone()]).await;
    browser.until_text("1 alert fires in 1 group").await;
    browser
        .until("the tab counts it", "document.getElementById('firing').innerText.includes('1')")
        .await;
    scene.notify([disk.resolved_after(120)]).await;
    browser.until_text("Nothing fires.").await;
    browser.assert_clean(&[]).await;
}

#[tokio::test]
async fn an_alert_has_an_address_that_a_rule_can_give() {
    let scene = Scene::night().await;
    let odd = "Disk/50% & more?";
    scene.notify([alert(odd, "warning", "db-9", 1)]).await;
    let Some(browser) = Browser::signed_in(scene.service.address(), keys::OPERATOR).await else {
        return;
    };
    for (address, name) in [
        ("#/alert/PaymentQueueGrowing", "PaymentQueueGrowing"),
        ("#/alert/Disk%2F50%25%20%26%20more%3F", odd),
        // It is over: what is known is shown all the same.
        ("#/alert/NodeNotReady", "NodeNotReady"),
    ] {
        browser.load(address).await;
        browser
            .until(
                name,
                &format!("document.querySelector('.detail h1')?.innerText === {}", json!(name)),
            )
            .await;
    }
    browser.until_text("does not fire now").await;
    browser.load("#/alert/Unheard").await;
    browser.until_text("Nothing is known about an alert of this name.").await;
    browser.press("Write down what helps").await;
    browser
        .until(
            "the form begins with its name",
            "document.querySelector('form.edit input')?.value === 'Unheard'",
        )
        .await;
    browser.assert_clean(&[]).await;
}

#[tokio::test]
async fn a_thousand_rows_are_scrolled_of_which_few_are_there() {
    let scene = Scene::empty().await;
    for part in 0..2 {
        let alerts = (0..500)
            .map(|n| alert(&format!("Alert{:04}", part * 500 + n), "warning", "db-1", 1 + n));
        scene.notify(alerts).await;
    }
    let Some(browser) = Browser::signed_in(scene.service.address(), keys::VIEWER).await else {
        return;
    };
    browser.until_text("1,000 alerts fire in 1,000 groups").await;
    assert!(browser.count(".overview .row").await < 60);
    browser.js("document.querySelector('.overview .list').scrollTop = 1e9", &[]).await;
    browser
        .until(
            "the last row is there",
            "document.querySelector('.overview li[aria-posinset=\"1000\"]')",
        )
        .await;
    assert!(browser.count(".overview .row").await < 60);
    // And by keyboard, back to the first.
    browser
        .js("document.querySelector('.overview li[aria-posinset=\"1000\"] a').focus()", &[])
        .await;
    browser.keys(&Key::Home.to_string()).await;
    browser
        .until(
            "the first row has the focus",
            "document.activeElement.parentElement.getAttribute('aria-posinset') === '1'",
        )
        .await;
    browser.assert_clean(&[]).await;
}
