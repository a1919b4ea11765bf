//! TLS: which certificate is shown, when it changes, and what is never taken.

use std::{fs, net::SocketAddr, path::PathBuf, process::Command};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use serde_json::{Value, json};

use crate::{
    documents::is_there,
    harness::{Place, Process, Raw, eventually, free_port},
};

/// How `curl` ends for a certificate that it does not trust.
const UNTRUSTED: i32 = 60;

/// Who signs certificates, and where they are put.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

/// A certificate and its key.
struct Pair {
    certificate: String,
    key: String,
}

impl Authority {
    /// For a service in this place, to which a good certificate is given.
    fn of(place: &mut Place) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        let name = place.directory().display().to_string();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Self { issuer, folder: place.directory().to_owned() };
        fs::write(authority.folder.join("root.crt"), authority.issuer.pem()).unwrap();
        place.set("TLS_CERT_FILE", "tls.crt");
        place.set("TLS_KEY_FILE", "tls.key");
        authority.put(&authority.pair(1, 2999));
        authority
    }

    /// A certificate with this number that is good until the end of this year.
    fn pair(&self, number: u32, until: i32) -> Pair {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, format!("number {number}"));
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until, 12, 31);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    fn put(&self, pair: &Pair) {
        fs::write(self.folder.join("tls.crt"), &pair.certificate).unwrap();
        fs::write(self.folder.join("tls.key"), &pair.key).unwrap();
    }

    /// Asks with `curl` as someone who trusts this authority: how it ended, and what it showed.
    fn curl(&self, address: SocketAddr, args: &[&str]) -> (i32, String) {
        let mut curl = Command::new("curl");
        curl.current_dir(&self.folder).args(["-sS", "-i", "--cacert", "root.crt"]).args(args);
        let done = curl.arg(format!("https://{address}/health")).output().unwrap();
        let shown = [done.stdout, done.stderr].concat();
        (done.status.code().unwrap(), String::from_utf8(shown).unwrap())
    }

    /// Waits until the certificate of this number is shown, and trusted.
    async fn shows(&self, process: &Process, number: u32) {
        let subject = format!("number {number}\n");
        eventually("this certificate is shown", async || {
            let (code, shown) = self.curl(process.address(), &["-v"]);
            (code == 0 && shown.contains(&subject)).then_some(())
        })
        .await;
    }
}

async fn reloaded(place: &Place, count: usize) -> Value {
    eventually("it is audited", async || place.audited("secrets_reloaded").into_iter().nth(count))
        .await["details"]
        .take()
}

#[tokio::test]
async fn both_listeners_speak_tls_by_either_protocol_and_nothing_else() {
    if !is_there("curl") {
        return;
    }
    let mut place = Place::sqlite();
    let authority = Authority::of(&mut place);
    let metrics = free_port();
    let process = place.spawn(&[("METRICS_PORT", &metrics.to_string())]).await;
    for (args, version) in [(["--http2"], "HTTP/2 200"), (["--http1.1"], "HTTP/1.1 200 OK")] {
        let (code, shown) = authority.curl(process.address(), &args);
        assert_eq!(code, 0, "{shown}");
        assert!(shown.starts_with(version), "{shown}");
        assert!(shown.contains("strict-transport-security: max-age="), "{shown}");
        assert!(shown.contains(&format!("https://127.0.0.1:{metrics}/metrics")), "{shown}");
    }
    let (_, shown) = authority.curl(SocketAddr::from(([127, 0, 0, 1], metrics)), &[]);
    assert!(shown.contains("404"), "{shown}");
    let mut plain = Raw::open(process.address()).await;
    plain.send("GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(!plain.read_to_end().await.contains("healthy"));
    for args in [&["healthcheck"][..], &["healthcheck", "--ready"]] {
        let mut check = place.command(args);
        let port = process.address().port().to_string();
        let done = check.env("PORT", port).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

#[tokio::test]
async fn who_checks_certificates_refuses_a_wrong_and_an_expired_one() {
    if !is_there("curl") {
        return;
    }
    let mut place = Place::sqlite();
    let authority = Authority::of(&mut place);
    authority.put(&authority.pair(2, 2020));
    let mut expired = Process::spawn(place.directory(), &place.variables(&[]));
    expired.line_with("the certificate has expired").await;
    expired.serving().await;
    let (code, shown) = authority.curl(expired.address(), &[]);
    assert_eq!(code, UNTRUSTED, "{shown}");
    assert!(shown.contains("expired"), "{shown}");
    // Whether it lives has nothing to do with that.
    let port = expired.address().port().to_string();
    assert!(place.command(&["healthcheck"]).env("PORT", port).status().unwrap().success());

    let mut elsewhere = Place::sqlite();
    let stranger = Authority::of(&mut elsewhere);
    let other = elsewhere.spawn(&[]).await;
    assert_eq!(stranger.curl(other.address(), &[]).0, 0);
    assert_eq!(authority.curl(other.address(), &[]).0, UNTRUSTED);
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_and_a_wrong_one_is_not() {
    if !is_there("curl") {
        return;
    }
    let mut place = Place::sqlite();
    let authority = Authority::of(&mut place);
    let mut process = place.spawn(&[]).await;
    authority.shows(&process, 1).await;

    // By itself, once both files are written.
    authority.put(&authority.pair(2, 2999));
    authority.shows(&process, 2).await;
    let details = reloaded(&place, 0).await;
    assert_eq!(details, json!({ "outcome": "reloaded", "changed": ["TLS_CERT_FILE"] }));

    // At once, by SIGHUP.
    authority.put(&authority.pair(3, 2999));
    process.hang_up();
    authority.shows(&process, 3).await;

    // What is wrong is named, and the good one is kept.
    let other_key = authority.pair(4, 2999).key;
    let mismatched = Pair { key: other_key, ..authority.pair(5, 2999) };
    let garbage = Pair { certificate: "no PEM".to_owned(), ..authority.pair(6, 2999) };
    for (wrong, named) in
        [(mismatched, "key"), (authority.pair(7, 2020), "expired"), (garbage, "tls.crt")]
    {
        let before = place.audited("secrets_reloaded").len();
        authority.put(&wrong);
        process.hang_up();
        let details = reloaded(&place, before).await;
        assert_eq!(details["outcome"], "kept", "{details}");
        let error = details["error"].as_str().unwrap().to_lowercase();
        assert!(error.contains("tls_cert_file") && error.contains(named), "{error}");
        process.line_with("secrets are kept as they were").await;
        authority.shows(&process, 3).await;
    }
    authority.put(&authority.pair(8, 2999));
    authority.shows(&process, 8).await;
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_ends_the_start() {
    let mut place = Place::sqlite();
    let authority = Authority::of(&mut place);
    let other_key = authority.pair(2, 2999).key;
    authority.put(&Pair { key: other_key, ..authority.pair(3, 2999) });
    let mut process = Process::spawn(place.directory(), &place.variables(&[]));
    assert_eq!(process.exit_code().await, 78);
    assert!(process.output().await.contains("TLS_CERT_FILE"));
    let variables = place.variables(&[("TLS_KEY_FILE", "")]);
    let mut process = Process::spawn(place.directory(), &variables);
    assert_eq!(process.exit_code().await, 78);
    assert!(process.output().await.contains("TLS_KEY_FILE"));
}
