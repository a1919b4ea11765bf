//! Markdown as the page reads it: what it makes of texts, piece by piece.

use serde_json::json;

use super::{Browser, Scene};

/// Runs the page's own module on these texts; the markup that came of each.
const RENDER: &str = "const [texts, done] = arguments;
    const link = [...document.querySelectorAll('link[rel=modulepreload]')].find((one) => one.href.endsWith('/markdown.js'));
    import(link.href).then(({ markdown }) => done(texts.map((text) => {
        const place = document.createElement('div');
        place.append(...markdown(text));
        return place.innerHTML.replaceAll(' target=\"_blank\" rel=\"noopener noreferrer\"', '').replaceAll(' tabindex=\"0\"', '');
    })))";

#[tokio::test]
async fn markdown_is_read_as_people_write_it() {
    let scene = Scene::empty().await;
    let Some(browser) = Browser::open(scene.service.address()).await else { return };
    let cases = [
        ("Plain\ntwo lines", "<p>Plain<br>two lines</p>"),
        ("# A\n### B ###", "<h3>A</h3><h5>B</h5>"),
        (
            "**b** *i* _i_ __b__ ~~s~~ `c`",
            "<p><strong>b</strong> <em>i</em> <em>i</em> <strong>b</strong> <s>s</s> <code>c</code></p>",
        ),
        (
            "node_filesystem_avail_bytes and 2 * 3 * 4",
            "<p>node_filesystem_avail_bytes and 2 * 3 * 4</p>",
        ),
        ("- a\n- b\n  - c\n- d", "<ul><li>a</li><li>b<ul><li>c</li></ul></li><li>d</li></ul>"),
        ("1. a\n2. b\n\n   more", "<ol><li>a</li><li>b<p>more</p></li></ol>"),
        ("3. c", "<ol start=\"3\"><li>c</li></ol>"),
        (
            "```sh\nls -l | wc\n<b>\n```\nafter",
            "<pre><code>ls -l | wc\n&lt;b&gt;</code></pre><p>after</p>",
        ),
        ("```\nnever closed", "<pre><code>never closed</code></pre>"),
        ("> q\n> r", "<blockquote><p>q<br>r</p></blockquote>"),
        ("a\n\n---\n\nb", "<p>a</p><hr><p>b</p>"),
        (
            "| a | b |\n|---|:-:|\n| 1 | `x` |",
            "<div class=\"scroll\"><table><thead><tr><th>a</th><th>b</th></tr></thead><tbody><tr><td>1</td><td><code>x</code></td></tr></tbody></table></div>",
        ),
        (
            "[t](https://a.example/x?y=1&z) (https://b.example/).",
            "<p><a href=\"https://a.example/x?y=1&amp;z\">t</a> (<span><a href=\"https://b.example/\">https://b.example/</a></span>).</p>",
        ),
        // No markup, no other schemes, no pictures.
        ("<b>x</b> <!-- c --> &amp;", "<p>&lt;b&gt;x&lt;/b&gt; &lt;!-- c --&gt; &amp;amp;</p>"),
        (
            "[t](javascript:alert(1)) [u](//x.example) ![p](data:image/png;base64,AA)",
            "<p>[t](javascript:alert(1)) [u](//x.example) ![p](data:image/png;base64,AA)</p>",
        ),
        ("![p](https://x.example/p.png)", "<p><a href=\"https://x.example/p.png\">p</a></p>"),
        ("\\*not\\* \\[l\\](x)", "<p>*not* [l](x)</p>"),
        ("", ""),
    ];
    let texts: Vec<&str> = cases.iter().map(|(text, _)| *text).collect();
    let made = browser.js_later(RENDER, &[json!(texts)]).await;
    for (at, (text, expected)) in cases.iter().enumerate() {
        assert_eq!(made[at], *expected, "{text:?}");
    }
    browser.assert_clean(&[]).await;
}

#[tokio::test]
async fn no_text_takes_long_to_read() {
    let scene = Scene::empty().await;
    let Some(browser) = Browser::open(scene.service.address()).await else { return };
    let long = 50_000;
    let texts: Vec<String> = [
        "[", "*", "**a", "`", "_a ", "> ", "- ", "| ", "#", "<", "![](", "\\", "1. \n", "- a\n\n",
        "https://",
    ]
    .iter()
    .map(|piece| piece.repeat(long / piece.len()))
    .collect();
    let script = format!(
        "const begun = performance.now(); const [texts, finish] = arguments;
        const done = () => finish(performance.now() - begun);
        ((...arguments) => {{ {RENDER} }})(texts, done)"
    );
    for text in texts {
        let piece = text[..8.min(text.len())].to_owned();
        let took = browser.js_later(&script, &[json!([text])]).await.as_f64().unwrap();
        assert!(took < 2_000.0, "{piece:?} took {took} ms");
    }
    browser.assert_clean(&[]).await;
}
