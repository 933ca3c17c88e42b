//! What goes wrong on the way: failures, tokens that are refused, limits, a stop.

use super::*;

#[tokio::test]
async fn an_interrupted_pass_goes_on_where_it_ended_then_over_what_is_new() {
    let world = World::new().await;
    let failing = || Fault::refuse(500);
    world.answers([page(&[B, C], Some("t1")), page(&[D], Some("t2")), failing()]);
    assert_eq!(
        pass(&mut world.backfill(), Depth::Deep).await,
        (Failed("server"), [2, 3, 0, 0, 0])
    );
    // The rest alone, in another process; then the head, down to what the first had.
    world.answers([
        page(&[E, F], None),
        page(&[A, B], Some("t3")),
        page(&[C], Some("t4")),
    ]);
    assert_eq!(
        pass(&mut world.backfill(), Depth::Deep).await,
        (Done, [3, 3, 2, 0, 0])
    );
    world.answers([page(&[A, B], Some("t5"))]);
    assert_eq!(
        pass(&mut world.backfill(), Depth::Between).await,
        (Done, [1, 0, 2, 0, 0])
    );
}

/// Also where everything is gone over again: the rest, and then only what can be new.
#[tokio::test]
async fn an_interrupted_repetition_is_not_begun_anew() {
    const OLD: Record = Record("old", 9 * DAY);
    let world = World::new().await;
    world.pages(&[&[A, B, OLD]]);
    assert_eq!(pass(&mut world.backfill(), Depth::Deep).await.0, Done);
    let again = || {
        let long_ago = SystemTime::now() - Duration::from_secs(30 * 86_400);
        world.backfill().again_since(long_ago)
    };
    world.answers([page(&[A, B], Some("t1")), Fault::refuse(500)]);
    let failed = (Failed("server"), [1, 0, 2, 0, 0]);
    assert_eq!(pass(&mut again(), Depth::Deep).await, failed);
    world.answers([page(&[OLD], None), page(&[A, B], Some("t2"))]);
    assert_eq!(
        pass(&mut again(), Depth::Deep).await,
        (Done, [2, 0, 3, 0, 0])
    );
}

#[tokio::test]
async fn a_token_that_heygen_forgot_starts_over_and_misses_nothing() {
    for forgotten in [Fault::refuse(400), Fault::refuse(404), Fault::refuse(500)] {
        let world = World::new().await;
        world.answers([page(&[A, B], Some("t1")), Fault::refuse(503)]);
        assert_eq!(
            pass(&mut world.backfill(), Depth::Between).await,
            (Failed("server"), [1, 2, 0, 0, 0])
        );
        world.answers([forgotten, page(&[A, B], Some("t1")), page(&[C, D], None)]);
        assert_eq!(
            pass(&mut world.backfill(), Depth::Between).await,
            (Done, [2, 2, 2, 0, 0])
        );
    }
}

#[tokio::test]
async fn a_token_that_is_refused_on_the_way_starts_over_but_not_for_ever() {
    let world = World::new().await;
    world.answers([
        page(&[A, B], Some("t1")),
        Fault::refuse(400),
        page(&[A, B], Some("t2")),
        page(&[C], None),
    ]);
    assert_eq!(
        pass(&mut world.backfill(), Depth::Deep).await,
        (Done, [3, 3, 2, 0, 0])
    );

    let never = World::new().await;
    let rounds = (0..9).flat_map(|_| [page(&[A, B], Some("t1")), Fault::refuse(400)]);
    never.answers(rounds);
    assert_eq!(
        pass(&mut never.backfill(), Depth::Deep).await,
        (Failed("parameter"), [3, 2, 4, 0, 0])
    );
}

#[tokio::test]
async fn a_token_older_than_a_day_is_not_shown_to_heygen() {
    let world = World::new().await;
    world.answers([answer(&A.json(), Some("t1")), Fault::refuse(500)]);
    let mut work = world.backfill();
    assert_eq!(
        pass(&mut work, Depth::Deep).await,
        (Failed("server"), [1, 1, 0, 0, 0])
    );
    let mut bookmark = bookmark::Bookmark::read(
        work.target
            .bookmark("backfill")
            .await
            .expect("read")
            .as_deref(),
    );
    let unfinished = bookmark.unfinished.as_mut().expect("an interrupted pass");
    assert_eq!(unfinished.token.as_deref(), Some("t1"));
    unfinished.token_at -= SignedDuration::from_hours(25);
    let text = serde_json::to_string(&bookmark).expect("JSON");
    work.target
        .set_bookmark("backfill", text)
        .await
        .expect("written");
    // The rest would come first.
    world.pages(&[&[A, B], &[C]]);
    assert_eq!(pass(&mut work, Depth::Deep).await, (Done, [2, 2, 1, 0, 0]));
}

#[tokio::test]
async fn a_log_without_an_end_is_told_and_what_it_had_is_kept() {
    let world = World::new().await;
    let endless = format!("{{\"data\":[{}],\"has_more\":true}}", A.json());
    world.answers([Fault::refuse(200).body(endless)]);
    assert_eq!(
        pass(&mut world.backfill(), Depth::Deep).await,
        (Failed("not whole"), [1, 1, 0, 0, 0])
    );
    let round = || answer(&B.json(), Some("again"));
    let world = World::new().await;
    world.answers([round(), round(), round()]);
    assert_eq!(
        pass(&mut world.backfill(), Depth::Deep).await,
        (Failed("not whole"), [2, 1, 1, 0, 0])
    );
}

#[tokio::test]
async fn it_waits_as_it_is_told() {
    let world = World::new().await;
    let limit = |seconds| Fault::refuse(429).retry_after(seconds);
    world.answers([limit(1), answer(&A.json(), None)]);
    let begun = std::time::Instant::now();
    assert_eq!(
        pass(&mut world.backfill(), Depth::Deep).await,
        (Done, [1, 1, 0, 0, 0])
    );
    assert!(begun.elapsed() >= Duration::from_secs(1));
    world.answers([limit(3600)]);
    assert_eq!(
        pass(&mut world.backfill(), Depth::Deep).await,
        (Failed("rate"), [0, 0, 0, 0, 0])
    );
}

#[tokio::test]
async fn told_to_stop_it_stops_between_pages_also_while_it_waits() {
    let world = World::new().await;
    world.answers([
        answer(&A.json(), Some("t1")),
        Fault::refuse(429).retry_after(500),
    ]);
    let mut work = world.backfill();
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
async fn watching_survives_what_goes_wrong_and_takes_what_comes() {
    let world = World::new().await;
    let inbox = world.inbox();
    world.answers([
        Fault::refuse(500),
        Fault::refuse(401),
        page(&[A], None),
        page(&[B], None),
        Fault::refuse(503),
        page(&[C], None),
    ]);
    let work = Backfill::new(world.client(), inbox.clone());
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

/// For a process that does nothing else.
#[tokio::test]
async fn watching_ends_where_it_is_asked_to_after_a_failure() {
    let world = World::new().await;
    world.answers([Fault::refuse(503), Fault::refuse(401)]);
    let on_event = |event: BackfillEvent<'_>| match event {
        BackfillEvent::Failed { error, .. } if !error.is_temporary() => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let watching = world
        .backfill()
        .watch(Duration::from_millis(10), pending(), on_event);
    let refused = watching.await.expect_err("refused");
    let kind = refused.api_error().map(ApiError::kind);
    assert_eq!(kind, Some(ErrorKind::Authentication));
}

#[tokio::test]
async fn more_than_the_queue_takes_waits_for_room() {
    let world = World::new().await;
    let mut options = heygen_inbox::sqlite::SqliteOptions::default();
    options.queue_capacity = 2;
    let inbox = SqliteInbox::open_with(world.path(), options).expect("an inbox");
    world.pages(&[&[A, B, C, D, E, F]]);
    let mut work = Backfill::new(world.client(), inbox);
    assert_eq!(
        pass(&mut work, Depth::Between).await,
        (Done, [1, 6, 0, 0, 0])
    );
}
