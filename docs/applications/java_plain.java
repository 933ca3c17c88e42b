import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.Executors;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

class Receiver {
    public static void main(String[] arguments) throws Exception {
        Mac mac = Mac.getInstance("HmacSHA256"); // The next line throws if there is no secret.
        mac.init(new SecretKeySpec(System.getenv("HEYGEN_WEBHOOK_SECRET").getBytes("UTF-8"), "HmacSHA256"));
        int port = Integer.parseInt(System.getenv("PORT"));
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
        server.setExecutor(Executors.newCachedThreadPool());
        server.createContext("/heygen", exchange -> {
            byte[] body = exchange.getRequestBody().readAllBytes(); // The raw bytes, before anything parses them.
            byte[] digest;
            synchronized (mac) { digest = mac.doFinal(body); }
            String given = String.join(",", exchange.getRequestHeaders().getOrDefault("Signature", List.of()));
            boolean isSigned = MessageDigest.isEqual(HexFormat.of().formatHex(digest).getBytes(), given.getBytes());
            boolean isProbe = exchange.getRequestMethod().equals("OPTIONS"); // HeyGen's probe
            if (isSigned) System.out.println("verified: " + new String(body)); // Queue it here; an event may come twice.
            exchange.sendResponseHeaders(isProbe || isSigned ? 204 : 401, -1);
        });
        server.start();
    }
}
