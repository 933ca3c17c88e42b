# Node's own http server.
set -eu
case $1 in
  version) echo "node $(node --version)" ;;
  serve) NODE_ENV=production exec node "$PEERS/node_http.js" ;;
esac
