//! Ask: questions, pasted logs, working with an answer, open questions.

use super::{Browser, Scene};
use crate::harness::{eventually, keys};

#[tokio::test]
async fn a_question_is_answered_with_steps_to_tick_feedback_and_notes() {
    let scene = Scene::night().await;
    let Some(browser) = Browser::signed_in(scene.service.address(), keys::OPERATOR).await else {
        return;
    };
    browser.visit("#/ask").await;
    browser.until("the box has the focus", "document.activeElement?.id === 'question'").await;
    browser.keys("the disk of the database is full").await;
    browser.press("Ask").await;
    browser.until_text("Disk of a database is full").await;
    browser.until("it says how sure it is", "document.querySelector('.best .sure')").await;
    assert!(browser.count(".best mark").await > 0);
    browser.until_text("0 of 4 done").await;
    browser.js("document.querySelector('.best .steps input').click()", &[]).await;
    browser.until_text("1 of 4 done").await;
    browser.press("This helped").await;
    browser.until_text("Helped 1 of 1 time.").await;
    browser.write(".best textarea", "Archiving was off since *Monday*.").await;
    browser.press("Add note").await;
    browser
        .until(
            "the note is listed",
            "document.querySelector('.best .notes em')?.innerText === 'Monday'",
        )
        .await;
    browser.screenshot("ask").await;
    browser.assert_accessible("an answer").await;
    // The address can be shared, and what was ticked is still ticked.
    let address = browser.js("return location.hash", &[]).await;
    browser.load(address.as_str().unwrap()).await;
    browser.until_text("Disk of a database is full").await;
    browser.assert_clean(&[]).await;
}

#[tokio::test]
async fn a_pasted_log_with_the_colours_of_a_terminal_is_taken() {
    let scene = Scene::night().await;
    let Some(browser) = Browser::signed_in(scene.service.address(), keys::OPERATOR).await else {
        return;
    };
    browser.visit("#/ask").await;
    browser.until("the box is there", "document.getElementById('question')").await;
    let log = "\u{1b}[31mERROR\u{1b}[0m could not write {\"file\": \"pg_wal\"}: <No space left on device>\r\n\u{7}$ df | grep /var";
    let script = "const box = document.getElementById('question');
        box.value = arguments[0]; box.form.requestSubmit()";
    browser.js(script, &[log.into()]).await;
    browser.until("it was answered", "performance.getEntriesByName('ask:answered').length").await;
    browser.assert_clean(&[]).await;
}

#[tokio::test]
async fn what_nothing_answers_is_kept_and_can_be_answered() {
    let scene = Scene::night().await;
    let Some(browser) = Browser::signed_in(scene.service.address(), keys::OPERATOR).await else {
        return;
    };
    browser.visit("#/ask").await;
    browser.until_text("how do I move the billing cluster to another region").await;
    browser.write("#question", "zebra crossing of the walrus").await;
    browser.press("Ask").await;
    browser.until_text("The question is kept, asked 1 time so far.").await;
    browser.press("Answer it when you know").await;
    browser
        .until(
            "the form begins with the question",
            "document.querySelector('form.edit input')?.value.startsWith('zebra')",
        )
        .await;
    browser.write("form.edit textarea", "Zebras cross where walruses do.").await;
    browser.press("Save").await;
    browser.until("the entry is shown", "location.hash.startsWith('#/entry/')").await;
    browser.until_text("Zebras cross where walruses do.").await;
    let viewer = scene.service.actors().viewer();
    eventually("the entry has closed the question", async || {
        let open = viewer.get("/api/knowledge/entries?category=question").await.json();
        (open["entries"].as_array().unwrap().len() == 1).then_some(())
    })
    .await;
    browser.visit("#/ask").await;
    browser
        .until("the other question is open", "document.querySelectorAll('.query').length === 1")
        .await;
    browser.assert_clean(&[]).await;
}
