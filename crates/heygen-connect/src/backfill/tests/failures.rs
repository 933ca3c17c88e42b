//! Failures of a pass: errors, rejected tokens, rate limits, a stop.

use super::*;

#[tokio::test]
async fn interrupted_pass_continues_and_then_reads_newer_records() {
    let setup = Setup::new().await;
    let failing = || Fault::refuse(500);
    setup.answers([page(&[B, C], Some("t1")), page(&[D], Some("t2")), failing()]);
    assert_eq!(
        pass(&mut setup.backfill(), PassScope::Full).await,
        (Failed("server"), [2, 3, 0, 0, 0])
    );
    // The rest, in another process; then the start of the log, down to what the first pass had.
    setup.answers([
        page(&[E, F], None),
        page(&[A, B], Some("t3")),
        page(&[C], Some("t4")),
    ]);
    assert_eq!(
        pass(&mut setup.backfill(), PassScope::Full).await,
        (Done, [3, 3, 2, 0, 0])
    );
    setup.answers([page(&[A, B], Some("t5"))]);
    assert_eq!(
        pass(&mut setup.backfill(), PassScope::Incremental).await,
        (Done, [1, 0, 2, 0, 0])
    );
}

/// It reads the rest, and then only what can be new.
#[tokio::test]
async fn interrupted_again_since_does_not_start_over() {
    const OLD: Record = Record("old", 9 * DAY);
    let setup = Setup::new().await;
    setup.pages(&[&[A, B, OLD]]);
    assert_eq!(pass(&mut setup.backfill(), PassScope::Full).await.0, Done);
    let again = || {
        let long_ago = SystemTime::now() - Duration::from_secs(30 * 86_400);
        setup.backfill().again_since(long_ago)
    };
    setup.answers([page(&[A, B], Some("t1")), Fault::refuse(500)]);
    let failed = (Failed("server"), [1, 0, 2, 0, 0]);
    assert_eq!(pass(&mut again(), PassScope::Full).await, failed);
    setup.answers([page(&[OLD], None), page(&[A, B], Some("t2"))]);
    assert_eq!(
        pass(&mut again(), PassScope::Full).await,
        (Done, [2, 0, 3, 0, 0])
    );
}

#[tokio::test]
async fn expired_token_starts_over_and_misses_nothing() {
    for forgotten in [Fault::refuse(400), Fault::refuse(404), Fault::refuse(500)] {
        let setup = Setup::new().await;
        setup.answers([page(&[A, B], Some("t1")), Fault::refuse(503)]);
        assert_eq!(
            pass(&mut setup.backfill(), PassScope::Incremental).await,
            (Failed("server"), [1, 2, 0, 0, 0])
        );
        setup.answers([forgotten, page(&[A, B], Some("t1")), page(&[C, D], None)]);
        assert_eq!(
            pass(&mut setup.backfill(), PassScope::Incremental).await,
            (Done, [2, 2, 2, 0, 0])
        );
    }
}

#[tokio::test]
async fn rejected_token_starts_over_a_limited_number_of_times() {
    let setup = Setup::new().await;
    setup.answers([
        page(&[A, B], Some("t1")),
        Fault::refuse(400),
        page(&[A, B], Some("t2")),
        page(&[C], None),
    ]);
    assert_eq!(
        pass(&mut setup.backfill(), PassScope::Full).await,
        (Done, [3, 3, 2, 0, 0])
    );

    let never = Setup::new().await;
    let rounds = (0..9).flat_map(|_| [page(&[A, B], Some("t1")), Fault::refuse(400)]);
    never.answers(rounds);
    assert_eq!(
        pass(&mut never.backfill(), PassScope::Full).await,
        (Failed("parameter"), [3, 2, 4, 0, 0])
    );
}

#[tokio::test]
async fn token_older_than_a_day_is_not_sent() {
    let setup = Setup::new().await;
    setup.answers([answer(&A.json(), Some("t1")), Fault::refuse(500)]);
    let mut work = setup.backfill();
    assert_eq!(
        pass(&mut work, PassScope::Full).await,
        (Failed("server"), [1, 1, 0, 0, 0])
    );
    let text = work.target.bookmark("backfill").await.expect("read");
    let bookmark = Bookmark::read(text.as_deref());
    let mut unfinished = bookmark.unfinished.expect("an interrupted pass");
    assert_eq!(unfinished.token.as_deref(), Some("t1"));
    unfinished.token_at -= SignedDuration::from_hours(25);
    set_bookmark(&work, bookmark.complete, Some(unfinished)).await;
    // The rest would come first.
    setup.pages(&[&[A, B], &[C]]);
    assert_eq!(
        pass(&mut work, PassScope::Full).await,
        (Done, [2, 2, 1, 0, 0])
    );
}

#[tokio::test]
async fn endless_log_is_an_error_and_its_records_are_stored() {
    let setup = Setup::new().await;
    let endless = format!("{{\"data\":[{}],\"has_more\":true}}", A.json());
    setup.answers([Fault::refuse(200).body(endless)]);
    assert_eq!(
        pass(&mut setup.backfill(), PassScope::Full).await,
        (Failed("not whole"), [1, 1, 0, 0, 0])
    );
    let round = || answer(&B.json(), Some("again"));
    let setup = Setup::new().await;
    setup.answers([round(), round(), round()]);
    assert_eq!(
        pass(&mut setup.backfill(), PassScope::Full).await,
        (Failed("not whole"), [2, 1, 1, 0, 0])
    );
}

#[tokio::test]
async fn rate_limit_waits_for_retry_after() {
    let setup = Setup::new().await;
    let limit = |seconds| Fault::refuse(429).retry_after(seconds);
    setup.answers([limit(1), answer(&A.json(), None)]);
    let begun = std::time::Instant::now();
    assert_eq!(
        pass(&mut setup.backfill(), PassScope::Full).await,
        (Done, [1, 1, 0, 0, 0])
    );
    assert!(begun.elapsed() >= Duration::from_secs(1));
    setup.answers([limit(3600)]);
    assert_eq!(
        pass(&mut setup.backfill(), PassScope::Full).await,
        (Failed("rate"), [0, 0, 0, 0, 0])
    );
}

#[tokio::test]
async fn stop_ends_a_pass_between_pages_and_during_a_wait() {
    let setup = Setup::new().await;
    setup.answers([
        answer(&A.json(), Some("t1")),
        Fault::refuse(429).retry_after(500),
    ]);
    let mut work = setup.backfill();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let mut stop = Some(stop);
    let mut progress = BackfillProgress::default();
    let on_progress = |so_far: &BackfillProgress| {
        progress = *so_far;
        drop(stop.take());
    };
    let stopped = pin!(async {
        let _ = stopped.await;
    });
    let ended = work.run(stopped, on_progress).await;
    assert_eq!(ended.expect("no error"), BackfillOutcome::Stopped);
    assert_eq!((progress.pages, progress.new), (1, 1));
}

#[tokio::test]
async fn watch_survives_failures_and_stores_new_events() {
    let setup = Setup::new().await;
    let inbox = setup.inbox();
    setup.answers([
        Fault::refuse(500),
        Fault::refuse(401),
        page(&[A], None),
        page(&[B], None),
        Fault::refuse(503),
        page(&[C], None),
    ]);
    let work = Backfill::new(setup.client(), inbox.clone());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (events, mut reported) = tokio::sync::mpsc::unbounded_channel();
    let stopped = async {
        let _ = stopped.await;
    };
    let on_event = move |event: BackfillEvent<'_>| {
        let _ = events.send(match event {
            BackfillEvent::Passed(progress) => format!("{} new", progress.new),
            BackfillEvent::Failed { is_repeated, .. } => format!("failed {is_repeated}"),
            BackfillEvent::Recovered => "recovered".to_owned(),
        });
        ControlFlow::Continue(())
    };
    let watching = tokio::spawn(work.watch(Duration::from_millis(10), stopped, on_event));
    let all_are_there = async {
        while inbox.counts().await.expect("counts").pending < 3 {
            inbox.wait_for_append().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all_are_there)
        .await
        .expect("all of them");
    drop(stop);
    let ended = watching.await.expect("no panic");
    ended.expect("it ends when it is asked to, and not before");
    let mut told = Vec::new();
    while let Ok(event) = reported.try_recv() {
        told.push(event);
    }
    let expected = [
        "failed false",
        "failed false",
        "1 new",
        "recovered",
        "1 new",
        "failed false",
        "1 new",
    ];
    assert_eq!(told[..7], expected, "{told:?}");
}

#[tokio::test]
async fn watch_reports_each_pass_once() {
    let setup = Setup::new().await;
    setup.answers([
        page(&[A], None),
        page(&[A], None),
        page(&[B], Some("t1")),
        Fault::refuse(401),
    ]);
    let mut told = Vec::new();
    let on_event = |event: BackfillEvent<'_>| match event {
        BackfillEvent::Passed(progress) => {
            told.push(format!("passed, {} new", progress.new));
            ControlFlow::Continue(())
        }
        BackfillEvent::Failed { progress, .. } => {
            told.push(format!("failed, {} new", progress.new));
            ControlFlow::Break(())
        }
        BackfillEvent::Recovered => ControlFlow::Continue(()),
    };
    let watching = setup
        .backfill()
        .watch(Duration::from_millis(10), pending(), on_event);
    watching.await.expect_err("refused");
    assert_eq!(told, ["passed, 1 new", "passed, 0 new", "failed, 1 new"]);
}

#[tokio::test]
async fn watch_waits_an_hour_at_most_when_it_is_asked_to_wait() {
    let setup = Setup::new().await;
    setup.answers([Fault::refuse(503).retry_after(10 * 365 * 86_400)]);
    let mut wait = None;
    let on_event = |event: BackfillEvent<'_>| {
        if let BackfillEvent::Failed { retry_in, .. } = event {
            wait = Some(retry_in);
        }
        ControlFlow::Break(())
    };
    let watching = setup
        .backfill()
        .watch(Duration::from_secs(60), pending(), on_event);
    watching.await.expect_err("HeyGen fails");
    assert_eq!(wait, Some(Duration::from_secs(3600)));
}

/// As a process that only backfills does.
#[tokio::test]
async fn watch_ends_after_a_failure_if_on_event_breaks() {
    let setup = Setup::new().await;
    setup.answers([Fault::refuse(503), Fault::refuse(401)]);
    let on_event = |event: BackfillEvent<'_>| match event {
        BackfillEvent::Failed { error, .. } if !error.is_temporary() => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let watching = setup
        .backfill()
        .watch(Duration::from_millis(10), pending(), on_event);
    let refused = watching.await.expect_err("refused");
    let kind = refused.api_error().map(ApiError::kind);
    assert_eq!(kind, Some(ApiErrorKind::Authentication));
}

#[tokio::test]
async fn append_waits_for_room_in_a_full_queue() {
    let setup = Setup::new().await;
    let mut options = heygen_inbox::sqlite::SqliteOptions::default();
    options.queue_capacity = 2;
    let inbox = SqliteInbox::open_with(setup.path(), options).expect("an inbox");
    setup.pages(&[&[A, B, C, D, E, F]]);
    let mut work = Backfill::new(setup.client(), inbox);
    assert_eq!(
        pass(&mut work, PassScope::Incremental).await,
        (Done, [1, 6, 0, 0, 0])
    );
}
