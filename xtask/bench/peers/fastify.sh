# Fastify, out of npm.
set -eu
if ! cmp -s "$PEERS/package.json" node_modules/package.json; then
  cp "$PEERS/package.json" .
  npm install --silent --no-audit --no-fund --no-package-lock --ignore-scripts >&2
  cp package.json node_modules/
fi
case $1 in
  version) node -e 'console.log("fastify " + require("./node_modules/fastify/package.json").version)' ;;
  serve) NODE_ENV=production NODE_PATH=$PWD/node_modules exec node "$PEERS/node_fastify.js" ;;
esac
