//! Hostile alerts: script in every field stays text.

use serde_json::json;

use super::{Browser, Scene};
use crate::harness::{Alert, keys};

/// What runs if any part of the page takes a text for markup.
const SCRIPT: &str = "<img src=x onerror=\"window.__ran=1\"><script>window.__ran=1</script><svg onload=window.__ran=1>\"'`${window.__ran=1}";
const LINK: &str = "javascript:window.__ran=1";

fn hostile() -> Alert {
    Alert::firing(SCRIPT, SCRIPT)
        .label("severity", SCRIPT)
        .label("cause", SCRIPT)
        .label(SCRIPT, SCRIPT)
        .label("summary", SCRIPT)
        .with("generatorURL", json!(LINK))
        .with("annotations", json!({
            "summary": SCRIPT, "runbook_url": LINK,
            "description": format!("{SCRIPT} [link]({LINK}) ![picture](https://evil.example.org/x.png) <{LINK}>"),
            "solution": format!("- {SCRIPT}\n- [x](data:text/html,<script>window.__ran=1</script>)\n\n```\n{SCRIPT}\n```\n\n| {SCRIPT} |\n|---|\n| {SCRIPT} |"),
        }))
}

#[tokio::test]
async fn script_in_every_field_of_an_alert_is_text_in_every_view() {
    let scene = Scene::empty().await;
    scene.notify([hostile()]).await;
    let operator = scene.service.actors().operator();
    let text = json!({ "text": format!("{SCRIPT} what now") });
    operator.post("/api/knowledge/query", &text).await.expect(200);
    let mut entry =
        json!({ "title": SCRIPT, "category": "runbook", "tags": ["<i>x</i>"], "steps": [SCRIPT] });
    for field in ["description", "rootCause", "solution", "expectedOutcome"] {
        entry[field] =
            json!(format!("# {SCRIPT}\n\n{SCRIPT}\n\n> {SCRIPT}\n\n1. {SCRIPT} [x]({LINK})"));
    }
    let id = operator.write(&entry).await["id"].as_str().unwrap().to_owned();
    let note = json!({ "text": SCRIPT });
    operator.post(&format!("/api/knowledge/entries/{id}/notes"), &note).await.expect(200);
    let Some(browser) = Browser::open(scene.service.address()).await else { return };
    browser.until_text("<img src=x").await;
    browser.sign_in(keys::OPERATOR).await;
    browser.until_text("Do first").await;
    let name = percent_encoding::utf8_percent_encode(SCRIPT, percent_encoding::NON_ALPHANUMERIC);
    for (address, seen) in [
        (format!("#/alert/{name}"), "document.querySelector('.detail .instances .row')"),
        ("#/knowledge".to_owned(), "document.querySelectorAll('.knowledge .row').length >= 2"),
        (format!("#/entry/{id}"), "document.querySelector('.entry .notes li')"),
        (format!("#/entry/{id}/edit"), "document.querySelector('form.edit')"),
        (format!("#/ask?q={name}"), "performance.getEntriesByName('ask:answered').length"),
        (format!("#/history?alert={name}"), "document.querySelector('.wide:not([hidden]) h2')"),
    ] {
        browser.visit(&address).await;
        browser.until(&address, seen).await;
        browser.until("it is text", "document.body.innerText.includes('onerror') || document.querySelector('input, textarea')").await;
        let made = "return document.querySelectorAll('main img, main script, main iframe, main svg:not(.chart)').length";
        assert_eq!(browser.js(made, &[]).await, 0, "{address}");
        let led = "return [...document.querySelectorAll('a')].map((one) => one.href).filter((href) => !/^https?:/.test(href))";
        assert_eq!(browser.js(led, &[]).await, json!([]), "{address}");
    }
    browser.screenshot("hostile").await;
    assert!(browser.js("return window.__ran === undefined", &[]).await == true);
    browser.assert_clean(&[]).await;
}

#[tokio::test]
async fn the_policy_lets_no_text_become_markup_or_script() {
    let scene = Scene::empty().await;
    let Some(browser) = Browser::open(scene.service.address()).await else { return };
    for attempt in [
        "document.body.innerHTML = '<b>x</b>'",
        "document.body.setAttribute('onclick', 'window.__ran=1')",
        "document.write('x')",
    ] {
        let script = format!(
            "try {{ {attempt} }} catch {{}} return document.querySelector('input[type=password]') !== null"
        );
        assert!(browser.js(&script, &[]).await == true, "{attempt}");
    }
    let script = "const done = arguments[0];
        const style = document.createElement('style');
        style.textContent = 'body { display: none }';
        document.head.append(style);
        const frame = document.createElement('script');
        frame.onerror = () => done([window.__refused.length, getComputedStyle(document.body).display]);
        frame.onload = () => done('loaded');
        frame.src = 'https://evil.example.org/x.js';
        document.head.append(frame)";
    // Trusted Types refuse even to name another script.
    let script = format!(
        "try {{ {script} }} catch {{ arguments[0]([window.__refused.length, getComputedStyle(document.body).display]) }}"
    );
    let answer = browser.js_later(&script, &[]).await;
    assert!(answer[0].as_u64().unwrap() >= 1 && answer[1] != "none", "{answer}");
}
