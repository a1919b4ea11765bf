//! History: charts with their figures, one alert over time, any period.

use super::{Browser, Scene};
use crate::harness::keys;

#[tokio::test]
async fn the_past_is_drawn_by_day_by_name_and_over_time() {
    let scene = Scene::night().await;
    let Some(browser) = Browser::signed_in(scene.service.address(), keys::VIEWER).await else {
        return;
    };
    browser.visit("#/history").await;
    browser.until_text("11 alerts").await;
    browser.until("a day is drawn", "document.querySelector('.bars rect.critical')").await;
    // The mean time to resolve of two that took 14 and 11 minutes.
    browser.until_text("12 min 30 s").await;
    browser.js("document.querySelector('details.figures').open = true", &[]).await;
    browser.until("the figures are a table", "document.querySelector('details.figures td')").await;
    browser.screenshot("history").await;
    browser.assert_accessible("history").await;
    browser
        .js("document.querySelector('[aria-label=\"PodCrashLooping over time\"]').click()", &[])
        .await;
    browser.until_text("PodCrashLooping over time").await;
    assert!(
        browser
            .js("return location.hash", &[])
            .await
            .as_str()
            .unwrap()
            .contains("alert=PodCrashLooping")
    );
    // A shared address of another period.
    browser.load("#/history?from=2026-01-01T00:00:00.000Z&to=2026-01-02T00:00:00.000Z").await;
    browser.until_text("No alerts in this period.").await;
    browser.assert_clean(&[]).await;
}

#[tokio::test]
async fn a_table_is_taken_along_as_csv_that_no_spreadsheet_runs() {
    let scene = Scene::empty().await;
    let Some(browser) = Browser::open(scene.service.address()).await else { return };
    let script = "const done = arguments[0];
        const main = [...document.querySelectorAll('link[rel=modulepreload]')].find((one) => one.href.endsWith('/csv.js'));
        import(main.href).then(({ csv }) => done(csv([['name', 'n'], ['=cmd()', -5], ['a,\"b\"', 1.5], ['@x', '-1+1']])))";
    let text = browser.js_later(script, &[]).await;
    assert_eq!(text, "name,n\r\n'=cmd(),-5\r\n\"a,\"\"b\"\"\",1.5\r\n'@x,'-1+1\r\n");
    browser.assert_clean(&[]).await;
}
