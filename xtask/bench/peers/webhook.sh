# The program `webhook`, out of its Debian package, which is unpacked: installed, it would be started as a service at once.
set -eu
program=$(command -v webhook) || program=$PWD/webhook/usr/bin/webhook
if ! [ -x "$program" ]; then
  mkdir -p webhook
  (cd webhook && apt-get download webhook >&2 && dpkg-deb --extract ./webhook_*.deb .)
fi
case $1 in
  version) "$program" -version ;;
  # The hook is called `heygen`: together they are the path of all.
  serve)
    exec "$program" -template -nopanic -ip 127.0.0.1 -port "$PORT" -urlprefix webhooks -hooks "$PEERS/hooks.json"
    ;;
esac
