//! A line for each delivery.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use heygen_inbox::AttemptOutcome;
use heygen_receiver::Delivery;
use heygen_receiver::handlers::Lines;
use tokio::sync::Semaphore;

use crate::handler_run::HandlerRun;
use crate::support::{body, until, within_patience};

/// What was written, for the test to read.
#[derive(Clone, Debug, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Paper {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A byte at a time, so that lines would mix if they could.
        self.0.lock().unwrap().push(bytes[0]);
        Ok(1)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_line_is_a_json_object() {
    let paper = Paper::default();
    let run = HandlerRun::start(Lines::new(paper.clone()).unwrap());
    let id = run.append(&[], body("a\\nb").as_bytes()).await;
    let stored = run.after(id, 1).await;
    assert_eq!(stored.attempts[0].result, AttemptOutcome::Acknowledged);
    let text = paper.text();
    let line = text.strip_suffix('\n').unwrap();
    assert!(!line.contains('\n'), "{line}");
    let start = format!(r#"{{"id":"{id}","received_at":"20"#);
    assert!(line.starts_with(&start), "{line}");
    let rest = r#"Z","attempt":1,"source":"webhook","event_type":"avatar_video.success","event":{"event_type":"avatar_video.success","event_data":{"video_id":"a\nb"}}}"#;
    assert!(line.ends_with(rest), "{line}");
}

#[tokio::test]
async fn body_that_is_not_an_event_has_a_line_with_the_error() {
    let paper = Paper::default();
    let run = HandlerRun::start(Lines::new(paper.clone()).unwrap());
    let ends = run.ends(b"\xff\n").await;
    assert_eq!(ends, (AttemptOutcome::Acknowledged, String::new()));
    let text = paper.text();
    assert!(
        text.contains(r#""event_type":null,"event":null,"error":""#),
        "{text}"
    );
}

#[tokio::test]
async fn custom_format_is_used_and_lines_do_not_mix() {
    let paper = Paper::default();
    let format = |delivery: &Delivery| {
        let event = delivery.event().unwrap();
        event.subject_id().unwrap().to_string()
    };
    let run = HandlerRun::start(Lines::with(paper.clone(), format).unwrap());
    let mut expected = Vec::new();
    let mut ids = Vec::new();
    for number in 0..50 {
        let name = format!("video{number:03}");
        ids.push(run.append(&[], body(&name).as_bytes()).await);
        expected.push(name);
    }
    for id in ids {
        run.after(id, 1).await;
    }
    let text = paper.text();
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, expected);
}

/// A writer that fails as often as the test wants.
struct Failing(Arc<Semaphore>, Paper);

impl Write for Failing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.try_acquire() {
            Ok(permit) => {
                permit.forget();
                Err(io::Error::other("no space left"))
            }
            Err(_) => self.1.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_write_that_fails_is_a_retry() {
    let paper = Paper::default();
    let failures = Arc::new(Semaphore::new(1));
    let lines = Lines::with(Failing(failures, paper.clone()), |_| "x".to_owned()).unwrap();
    let run = HandlerRun::with(lines, |options| {
        options.schedule.initial_delay = Duration::from_millis(1);
    });
    let id = run.append(&[], b"{}").await;
    let attempts = run.after(id, 2).await.attempts;
    assert_eq!(attempts[0].result, AttemptOutcome::Retry);
    assert_eq!(
        attempts[0].detail.as_deref(),
        Some("the line could not be written: no space left")
    );
    assert_eq!(attempts[1].result, AttemptOutcome::Acknowledged);
    assert_eq!(paper.text(), "x\n");
}

/// Writes when the test says so.
struct Stalled(mpsc::Receiver<()>, Paper);

impl Write for Stalled {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Once the test has let go of its end, all goes through.
        let _ = self.0.recv();
        self.1.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// One thread: a write on it would stop everything.
#[tokio::test(flavor = "current_thread")]
async fn stopped_reader_does_not_block_the_runtime() {
    let paper = Paper::default();
    let (go_on, stalled) = mpsc::channel();
    let lines = Lines::with(Stalled(stalled, paper.clone()), |_| "x".to_owned()).unwrap();
    let run = HandlerRun::with(lines, |options| {
        options.handler_timeout = Duration::from_millis(20);
        options.schedule.initial_delay = Duration::from_millis(1);
    });
    let first = run.append(&[], body("a").as_bytes()).await;
    let second = run.append(&[], body("b").as_bytes()).await;
    within_patience(async {
        for id in [first, second] {
            let attempt = run.after(id, 1).await.attempts.swap_remove(0);
            assert_eq!(attempt.result, AttemptOutcome::Retry);
        }
    })
    .await;
    assert_eq!(paper.text(), "");
    drop(go_on);
    for id in [first, second] {
        until(async || {
            let attempts = run.after(id, 1).await.attempts;
            attempts.last().unwrap().result == AttemptOutcome::Acknowledged
        })
        .await;
    }
}
