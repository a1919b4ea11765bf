//! Knowledge: lists, entries whole, and changes that meet.

use serde_json::json;

use super::{Browser, Scene, data::runbook};
use crate::harness::{Alert, keys};

#[tokio::test]
async fn entries_are_filtered_and_one_is_shown_whole_with_who_wrote_what() {
    let scene = Scene::night().await;
    let Some(browser) = Browser::signed_in(scene.service.address(), keys::OPERATOR).await else {
        return;
    };
    browser.visit("#/knowledge").await;
    browser
        .until("all are listed", "document.querySelectorAll('.knowledge .row').length === 7")
        .await;
    browser.screenshot("knowledge").await;
    browser.assert_accessible("knowledge").await;
    browser.write("input[placeholder=Tag]", "postgres").await;
    browser.until("one is left", "document.querySelectorAll('.knowledge .row').length === 1").await;
    assert_eq!(browser.js("return location.hash", &[]).await, "#/knowledge?tag=postgres");
    browser.js("document.querySelector('.knowledge .row').click()", &[]).await;
    browser.until_text("Who wrote what").await;
    // Markdown is shown as what it means.
    browser
        .until("a table", "document.querySelector('.entry td code')?.innerText === 'pg_wal'")
        .await;
    browser
        .until(
            "a link",
            "document.querySelector('.prose a')?.href === 'https://boards.example.org/disk'",
        )
        .await;
    browser
        .until("code", "document.querySelector('.prose pre code')?.innerText.startsWith('du -xsh')")
        .await;
    browser.until_text("note: operator").await;
    browser.screenshot("entry").await;
    browser.assert_accessible("an entry").await;
    browser.assert_clean(&[]).await;
}

#[tokio::test]
async fn two_changes_of_one_entry_stand_side_by_side_and_none_is_lost() {
    let scene = Scene::empty().await;
    let operator = scene.service.actors().operator();
    let id = operator.write(&runbook()).await["id"].as_str().unwrap().to_owned();
    let Some(browser) = Browser::signed_in(scene.service.address(), keys::ADMIN).await else {
        return;
    };
    browser.visit(&format!("#/entry/{id}/edit")).await;
    browser
        .until(
            "the form is there",
            "document.querySelector('form.edit input')?.value === 'Disk of a database is full'",
        )
        .await;
    // Meanwhile another writes.
    let patch = json!({ "solution": "Theirs: call storage.", "expectedOutcome": "Theirs, too." });
    let path = format!("/api/knowledge/entries/{id}");
    operator.call(reqwest::Method::PATCH, &path, patch.to_string().as_bytes()).await.expect(200);
    let fill = "const label = (text) => [...document.querySelectorAll('form.edit label')].find((one) => one.innerText === text);
        const area = (text) => document.getElementById(label(text).htmlFor);
        area('Solution').value = 'Mine: free space.'; area('Cause').value = 'Mine alone.'";
    browser.js(fill, &[]).await;
    browser.press("Save").await;
    browser.until_text("Changed by another meanwhile").await;
    let text = browser.text("main").await;
    assert!(text.contains("Mine: free space.") && text.contains("Theirs: call storage."), "{text}");
    // Only what both touched is asked about.
    assert_eq!(browser.count("fieldset.sides").await, 1);
    browser.screenshot("conflict").await;
    browser.assert_accessible("a conflict").await;
    browser.js("document.querySelector('.side input').click()", &[]).await;
    browser.press("Save this").await;
    browser.until_text("Mine: free space.").await;
    browser
        .until(
            "the entry is shown",
            "!document.querySelector('form.conflict') && document.querySelector('.entry .title')",
        )
        .await;
    let entry = operator.entry(&id).await;
    assert_eq!(entry["solution"], "Mine: free space.");
    assert_eq!(entry["rootCause"], "Mine alone.");
    assert_eq!(entry["expectedOutcome"], "Theirs, too.");
    browser.assert_clean(&["412"]).await;
}

#[tokio::test]
async fn an_entry_is_written_changed_and_deleted() {
    let scene = Scene::empty().await;
    let Some(browser) = Browser::signed_in(scene.service.address(), keys::OPERATOR).await else {
        return;
    };
    browser.visit("#/new").await;
    browser.until("the form is there", "document.querySelector('form.edit')").await;
    browser.write("form.edit input", "Restore the billing database").await;
    // A step of two lines is one step.
    let steps = "[...document.querySelectorAll('fieldset')].find((one) => one.innerText.startsWith('Steps'))";
    browser.js(&format!("{steps}.querySelector('button').click()"), &[]).await;
    browser.js(&format!("{steps}.querySelector('textarea').value = 'Stop the writers:\\n`systemctl stop billing`'"), &[]).await;
    browser.press("Save").await;
    browser.until_text("0 of 1 done").await;
    let actors = scene.service.actors();
    let entries = actors.viewer().get("/api/knowledge/entries").await.json();
    assert_eq!(
        entries["entries"][0]["steps"],
        json!(["Stop the writers:\n`systemctl stop billing`"])
    );
    browser.press("Edit").await;
    browser
        .until(
            "the form is there",
            "document.querySelector('form.edit input')?.value.startsWith('Restore')",
        )
        .await;
    browser.write("form.edit input", "Restore billing").await;
    browser.press("Save").await;
    browser
        .until(
            "it has its new title",
            "document.querySelector('.entry h1')?.innerText === 'Restore billing'",
        )
        .await;
    browser.press("Delete").await;
    browser.press("Really delete?").await;
    browser.until_text("No entry matches.").await;
    browser.assert_clean(&[]).await;
}

#[tokio::test]
async fn what_a_limit_refuses_is_asked_for_again_by_itself() {
    let mut place = crate::harness::Place::sqlite();
    // Signing in takes one, the list of what fires two.
    place.set("RATE_LIMIT_API", "30");
    let service = place.spawn(&[]).await;
    service
        .alertmanager()
        .notify(&crate::harness::payload([Alert::firing("Disk", "db-1")]))
        .await
        .expect(200);
    let Some(browser) = Browser::signed_in(service.address(), keys::VIEWER).await else { return };
    browser.until_text("1 alert fires in 1 group").await;
    // The rest of the limit is used up by another tab of the same key.
    let flood = "const done = arguments[0];
        const key = sessionStorage.getItem('orchestrator.key');
        Promise.all(Array.from({ length: 40 }, () => fetch('/api/auth/me', { headers: { Authorization: `Bearer ${key}` } })))
            .then((all) => done(all.filter((one) => one.status === 429).length))";
    assert!(browser.js_later(flood, &[]).await.as_u64().unwrap() > 0);
    browser.visit("#/knowledge").await;
    browser
        .until(
            "the entry is listed after all",
            "document.querySelectorAll('.knowledge .row').length === 1",
        )
        .await;
    browser.assert_clean(&["429"]).await;
}
