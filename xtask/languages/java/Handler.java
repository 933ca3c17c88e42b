package events;

/** A handler by the types of quicktype. */
public final class Handler {
    private Handler() {}

    public static String link(AvatarVideoSuccessEvent event) {
        System.out.println(event.getEventData().getVideoID());
        return event.getEventData().getURL();
    }

    public static String message(VideoTranslateFailEvent event) {
        return event.getEventData().getMessage();
    }
}
