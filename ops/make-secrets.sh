#!/usr/bin/env bash
# Makes the secrets that docker-compose.yml mounts, in secrets/ beside it. What is there already
# stays as it is: run it as often as you like.
#
#   ops/make-secrets.sh [FOLDER]
#
# webhook_token is also what Alertmanager presents; grafana_password is that of Grafana's admin;
# api_key opens the service's API and its page, grafana_api_key lets Grafana read. Both stand in
# api_key_rotation, which is what the service reads where Grafana runs beside it.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly folder="${1:-secrets}"
readonly made=(api_key grafana_api_key webhook_secret webhook_token mongo_password
  mongo_root_password redis_password grafana_password mongo_keyfile api_key_rotation)

# Nobody else on this machine gets into the folder. Within, files are readable by all: the
# containers that they are mounted into have users of their own.
umask 077
mkdir -p "$folder"
chmod 0700 "$folder"

random_hex() { head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }
# MongoDB's key file takes the characters of base64 only.
random_base64() { head -c 96 /dev/urandom | base64 | tr -d '\n'; }
# Who may call the API, and as what.
list_keys() {
  printf '[{"key":"%s","label":"api-key","roles":["admin"]},{"key":"%s","label":"grafana","roles":["viewer"]}]' \
    "$(cat "$folder/api_key")" "$(cat "$folder/grafana_api_key")"
}

for name in "${made[@]}"; do
  path="$folder/$name"
  if [ -s "$path" ]; then
    printf 'kept %s\n' "$path"
  else
    case "$name" in
      mongo_keyfile) random_base64 ;;
      api_key_rotation) list_keys ;;
      *) random_hex ;;
    esac >"$path.new"
    mv "$path.new" "$path"
    printf 'made %s\n' "$path"
  fi
  chmod 0444 "$path"
done
