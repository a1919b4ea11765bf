//! How the page looks: the README's picture, narrow and wide, dark and light, by keyboard alone.

use fantoccini::key::Key;

use super::{Browser, Scene};
use crate::harness::keys;

/// Every view, as an operator sees it.
const VIEWS: [(&str, &str, &str); 5] = [
    ("now", "#/", "document.querySelector('.overview .row')"),
    ("alert", "#/alert/DiskAlmostFull", "document.querySelector('.detail .steps')"),
    ("ask", "#/ask?q=disk%20full", "document.querySelector('.best')"),
    ("knowledge", "#/knowledge", "document.querySelector('.knowledge .row')"),
    ("history", "#/history", "document.querySelector('.history svg')"),
];

#[tokio::test]
async fn every_view_fits_a_telephone_and_a_wall_dark_and_light() {
    let scene = Scene::night().await;
    let Some(browser) = Browser::signed_in(scene.service.address(), keys::OPERATOR).await else {
        return;
    };
    for (size, width, height, scheme) in [
        ("narrow", 360, 740, "dark"),
        ("narrow-light", 360, 740, "light"),
        ("4k", 3840, 2160, "dark"),
        ("light", 1440, 900, "light"),
    ] {
        browser.size(width, height).await;
        browser.colours(scheme).await;
        for (name, address, there) in VIEWS {
            browser.load(address).await;
            browser.until(name, there).await;
            let wider =
                browser.js("return document.documentElement.scrollWidth - innerWidth", &[]).await;
            assert!(
                wider.as_i64().unwrap() <= 0,
                "{name} at {width} is wider than its window by {wider}"
            );
            browser.screenshot(&format!("{name}-{size}")).await;
            browser.assert_accessible(&format!("{name}, {size}")).await;
        }
    }
    browser.assert_clean(&[]).await;
}

#[tokio::test]
async fn a_night_is_worked_through_without_a_mouse() {
    let scene = Scene::night().await;
    let Some(browser) = Browser::open(scene.service.address()).await else { return };
    let (tab, enter, down) = (Key::Tab.to_string(), Key::Enter.to_string(), Key::Down.to_string());
    // The field for the key has the focus.
    browser.keys(&format!("{}{enter}", keys::OPERATOR)).await;
    browser.until_text("7 alerts fire in 4 groups").await;
    browser
        .js("document.activeElement.blur(); window.getSelection().collapse(document.body, 0)", &[])
        .await;
    let walk = async |what: &str, reached: &str| {
        for _ in 0..40 {
            browser.keys(&tab).await;
            let seen = browser.js("const one = document.activeElement; return getComputedStyle(one).outlineStyle !== 'none' || one.matches('input, select, textarea')", &[]).await;
            assert!(seen == true, "the focus cannot be seen on the way to {what}");
            if browser.js(&format!("return Boolean({reached})"), &[]).await == true {
                return;
            }
        }
        panic!("{what} cannot be reached by Tab");
    };
    walk("the list", "document.activeElement.closest('.overview .row')").await;
    browser.keys(&format!("{down}{enter}")).await;
    browser
        .until(
            "the second alert is open",
            "document.querySelector('.detail h1')?.innerText === 'PaymentQueueGrowing'",
        )
        .await;
    walk("this helped", "document.activeElement.innerText === 'This helped'").await;
    browser.keys(&enter).await;
    browser.until_text("Helped 1 of 1 time.").await;
    browser.visit("#/ask").await;
    browser.until("the box has the focus", "document.activeElement?.id === 'question'").await;
    browser.keys(&format!("disk full{enter}")).await;
    browser
        .until("the answer has the focus", "document.activeElement?.innerText === 'Answer'")
        .await;
    walk("a step", "document.activeElement.closest('.steps')").await;
    browser.keys(" ").await;
    browser.until_text("1 of 4 done").await;
    browser.assert_clean(&[]).await;
}

#[tokio::test]
async fn colours_are_chosen_and_kept() {
    let scene = Scene::empty().await;
    let Some(browser) = Browser::open(scene.service.address()).await else { return };
    browser.colours("dark").await;
    let ground = "return getComputedStyle(document.body).backgroundColor";
    let dark = browser.js(ground, &[]).await;
    let choose = "const theme = document.querySelector('[aria-label=Colours]');
        theme.value = 'light'; theme.dispatchEvent(new Event('change'))";
    browser.js(choose, &[]).await;
    assert_ne!(browser.js(ground, &[]).await, dark);
    browser.load("").await;
    browser.until("it is light again", "document.documentElement.dataset.theme === 'light'").await;
    browser.assert_clean(&[]).await;
}
