require "openssl"
require "rack"

SECRET = ENV.fetch("HEYGEN_WEBHOOK_SECRET")
abort "HEYGEN_WEBHOOK_SECRET is empty" if SECRET.empty?

map "/heygen" do
  run(lambda do |env|
    next [204, {}, []] if env["REQUEST_METHOD"] == "OPTIONS" # HeyGen's probe.
    body = env["rack.input"].read # The raw bytes, before anything parses them.
    expected = OpenSSL::HMAC.hexdigest("SHA256", SECRET, body)
    next [401, {}, []] unless Rack::Utils.secure_compare(expected, env["HTTP_SIGNATURE"].to_s)
    warn "verified: #{body}" # Queue it here; an event may come twice.
    [204, {}, []]
  end)
end
