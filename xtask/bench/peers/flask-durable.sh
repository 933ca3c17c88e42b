# Flask that keeps what it answers.
APP=flask_durable_app
. "$PEERS/flask.sh"
