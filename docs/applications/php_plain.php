<?php
$secret = getenv('HEYGEN_WEBHOOK_SECRET');
if ($_SERVER['REQUEST_METHOD'] === 'OPTIONS') { // HeyGen's probe.
    http_response_code(204);
    exit;
}
$body = file_get_contents('php://input'); // The raw bytes, before anything parses them.
$expected = hash_hmac('sha256', $body, (string) $secret);
if (!$secret || !hash_equals($expected, $_SERVER['HTTP_SIGNATURE'] ?? '')) {
    http_response_code($secret ? 401 : 503);
    exit;
}
error_log("verified: $body"); // Queue it here; an event may come twice.
http_response_code(204);
