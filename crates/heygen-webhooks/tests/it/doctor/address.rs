//! The public address, as HeyGen would find it.

use super::servers::{certificates, closed_address, small_server, tls_server, tls_server_of};
use super::{HeyGen, KEY, examine};
use crate::identity::Identity;
use crate::support::{SECRET, Workdir};

#[test]
fn drill_reports_an_unreachable_endpoint() {
    let heygen = HeyGen::start();
    let workdir = Workdir::new();
    let url = format!("http://{}/", closed_address());
    heygen.register(&format!("{url}webhooks/heygen"));
    heygen
        .examine(&workdir, &["--public-url", &url], Some(SECRET))
        .is("endpoints.registered", "ok", "")
        .problems(&["secrets", "address.options", "sample.signed"])
        .is("address.options", "problem", "probe 1 of 5")
        .is("address.get", "warn", "")
        .is("sample.unsigned", "skipped", "no answer");
}

#[test]
fn an_address_that_does_not_answer_options() {
    let heygen = HeyGen::start();
    let workdir = Workdir::new();
    let url = small_server(|head| match head.starts_with("OPTIONS") {
        true => None,
        false => Some("200 OK"),
    });
    heygen
        .examine(&workdir, &["--public-url", &url], Some(SECRET))
        .is("address.options", "problem", "within 1 s")
        .is(
            "address.options",
            "problem",
            "v1 waits no longer, and v3 may not either",
        )
        .is("address.get", "ok", "200")
        .is("sample.signed", "ok", "200")
        .is("sample.unsigned", "problem", "accepted");
    let refusing = small_server(|_| Some("405 Method Not Allowed"));
    heygen
        .examine(&workdir, &["--public-url", &refusing], Some(SECRET))
        .is("address.options", "problem", "405")
        .is(
            "address.options",
            "problem",
            "v1 registers no other address, and v3 may not either",
        )
        .is("address.get", "warn", "405")
        .is("sample.signed", "problem", "correct the path")
        .is("sample.unsigned", "warn", "405");
}

#[test]
fn private_and_plain_addresses_at_the_real_heygen() {
    let workdir = Workdir::new();
    let seen = examine(
        &workdir,
        &["--public-url", "http://127.0.0.1:1/", "--no-sample"],
        &[("SSL_CERT_FILE", &certificates(&workdir))],
    );
    seen.is("address", "problem", "cannot reach")
        .is("address.tls", "problem", "plain http");
}

#[test]
fn doctor_checks_tls_of_the_public_address() {
    let heygen = HeyGen::start();
    let workdir = Workdir::new();
    let (url, certificate) = tls_server();
    let (_, other) = tls_server();
    let trusted = workdir.file("trusted.pem", certificate);
    let foreign = workdir.file("foreign.pem", other);
    let run = |certificates: &std::path::Path| {
        let file = certificates.to_str().expect("UTF-8");
        examine(
            &workdir,
            &["--base-url", heygen.sandbox.url(), "--public-url", &url],
            &[("HEYGEN_API_KEY", KEY), ("SSL_CERT_FILE", file)],
        )
    };
    run(&trusted)
        .is("address.tls", "ok", "TLS 1.3")
        .is("address.tls", "ok", "valid until")
        .is("address.options", "ok", "5 probes passed")
        .is("address.get", "ok", "200");
    run(&foreign)
        .is("address.tls", "problem", "public authority")
        .is("address.options", "problem", "");
}

#[test]
fn the_address_is_tried_as_heygen_has_it() {
    let heygen = HeyGen::start();
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    // Another spelling of the same, which is served.
    let (id, secret) = heygen.register(&format!("{}/", serve.url));
    let seen = heygen.examine(&workdir, &["--public-url", &serve.url], Some(&secret));
    let slash = format!("HeyGen sends to {id} {}/: 204", serve.url);
    seen.is("endpoints.registered", "ok", &slash);

    // And where something before the receiver tells the two apart.
    let heygen = HeyGen::start();
    let strict = small_server(|head| match head.contains("/ HTTP/1.1") {
        true => Some("404 Not Found"),
        false => Some("204 No Content"),
    });
    let (id, _) = heygen.register(&format!("{strict}/"));
    let seen = heygen.examine(
        &workdir,
        &["--public-url", &strict, "--no-sample"],
        Some(SECRET),
    );
    seen.is(
        "endpoints.registered",
        "problem",
        &format!("HeyGen sends to {id} {strict}/: 404"),
    )
    .is("endpoints.registered", "problem", "does not serve the path")
    .is("address.options", "ok", "5 probes passed");

    // The same host, and a path that is not served.
    let heygen = HeyGen::start();
    let elsewhere = serve.url.replace("/webhooks/heygen", "/hooks");
    heygen.register(&elsewhere);
    heygen
        .examine(
            &workdir,
            &["--public-url", &serve.url, "--no-sample"],
            Some(SECRET),
        )
        .is(
            "endpoints.registered",
            "problem",
            "no endpoint at HeyGen has the address",
        )
        .is(
            "endpoints.registered",
            "problem",
            &format!("{elsewhere}: 404"),
        );
}

#[test]
fn expired_certificate_is_reported_once_with_its_date() {
    let heygen = HeyGen::start();
    let workdir = Workdir::new();
    let me = Identity::with(|certificate| {
        certificate.not_before = rcgen::date_time_ymd(2020, 1, 1);
        certificate.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    let trusted = workdir.file("trusted.pem", &me.certificate);
    let url = tls_server_of(&me);
    let seen = examine(
        &workdir,
        &["--base-url", heygen.sandbox.url(), "--public-url", &url],
        &[
            ("HEYGEN_API_KEY", KEY),
            ("HEYGEN_WEBHOOK_SECRET", SECRET),
            ("SSL_CERT_FILE", trusted.to_str().expect("UTF-8")),
        ],
    );
    seen.is("address.tls", "problem", "expired on 2021-01-01")
        .is("address.tls", "problem", "renew it")
        .is("address.options", "skipped", "see address.tls")
        .is("address.get", "skipped", "see address.tls")
        .is("sample.signed", "skipped", "see address.tls")
        .is("sample.unsigned", "skipped", "see address.tls");
    assert!(!seen.ended.stdout.contains("UNIX"), "{}", seen.ended.stdout);
    // `drill` says so too, and sends no more.
    let trusted = [("SSL_CERT_FILE", trusted.to_str().expect("UTF-8"))];
    let drilled = workdir.run_with(&["drill", &url, "--without-secret"], b"", &trusted);
    for expected in [
        "the certificate has expired\n",
        "fix: get a certificate for this name",
        "; 1 requests",
    ] {
        drilled.prints(expected);
    }
}

#[test]
fn a_certificate_is_judged_by_its_days_and_its_name() {
    #[track_caller]
    fn check(days: std::ops::Range<i64>, host: &str, level: &str, expected: &str) {
        let heygen = HeyGen::start();
        let workdir = Workdir::new();
        let day = |days: i64| {
            let day = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * days);
            let day = jiff::tz::TimeZone::UTC.to_datetime(day);
            let unsigned = |part: i8| u8::try_from(part).expect("from 1");
            rcgen::date_time_ymd(
                day.year().into(),
                unsigned(day.month()),
                unsigned(day.day()),
            )
        };
        let me = Identity::with(|certificate| {
            certificate.not_before = day(days.start);
            certificate.not_after = day(days.end);
        });
        let trusted = workdir.file("trusted.pem", &me.certificate);
        let url = tls_server_of(&me).replace("localhost", host);
        let options = ["--base-url", heygen.sandbox.url(), "--public-url", &url];
        let variables = [
            ("HEYGEN_API_KEY", KEY),
            ("SSL_CERT_FILE", trusted.to_str().expect("UTF-8")),
        ];
        let seen = examine(
            &workdir,
            &[&options[..], &["--no-sample"]].concat(),
            &variables,
        );
        seen.is("address.tls", level, expected);
    }
    check(-30..30, "localhost", "ok", "valid until");
    check(-30..3, "localhost", "warn", "the certificate expires on");
    check(3..30, "localhost", "problem", "not valid yet");
    check(-30..30, "127.0.0.1", "problem", "certificate for this name");
}
