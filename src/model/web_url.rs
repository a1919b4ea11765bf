//! Which texts are addresses that a person may be sent to.

/// Whether a URL is one that a browser opens as a page; `javascript:` and the like are not.
pub fn is_web_url(url: &str) -> bool {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    scheme
        .is_some_and(|scheme| ["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_web_are_taken() {
        for url in ["https://runbooks.example.org/disk", "HTTP://x", "http://[::1]:9090/graph?a=b"]
        {
            assert!(is_web_url(url), "{url}");
        }
        for url in [
            "javascript:alert(1)",
            "javascript://%0aalert(1)",
            " https://x",
            "java\nscript://x",
            "file:///etc/passwd",
            "data:text/html,x",
            "//x",
            "runbook",
            "",
        ] {
            assert!(!is_web_url(url), "{url}");
        }
    }
}
