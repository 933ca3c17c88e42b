# Flask under gunicorn, out of the Python Package Index.
set -eu
if ! cmp -s "$PEERS/requirements.txt" venv/requirements.txt; then
  # Half of an earlier one would be in the way.
  rm -rf venv
  python3 -m venv venv
  venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement "$PEERS/requirements.txt"
  cp "$PEERS/requirements.txt" venv/
fi
case $1 in
  version)
    venv/bin/python --version
    sed 's/==/ /' venv/requirements.txt
    ;;
  serve)
    exec venv/bin/python -m gunicorn --workers 2 --threads 8 --bind "127.0.0.1:$PORT" --log-level warning \
      --chdir "$PEERS" "${APP:-flask_app}:app"
    ;;
  kept)
    venv/bin/python -c 'import sqlite3, sys
print(sqlite3.connect(sys.argv[1]).execute("SELECT count(*) FROM delivery").fetchone()[0])' "$FILE"
    ;;
esac
