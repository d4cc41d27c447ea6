#!/bin/sh
# Run a command with settings whose text is in files: NAME_FILE=/run/secrets/x sets NAME.
set -eu
for name in REDIS_PASSWORD ORDERFLOW_BROKER_URL FLOWER_BASIC_AUTH APCA_API_KEY_ID APCA_API_SECRET_KEY DATABENTO_API_KEY; do
  eval "file=\${${name}_FILE:-}"
  [ -z "$file" ] && continue
  if [ ! -r "$file" ]; then
    echo "${name}_FILE='$file': there is no such file, or it can't be read" >&2
    exit 2
  fi
  value=$(cat "$file")
  export "$name=$value"
  unset "${name}_FILE"
done
exec "$@"
