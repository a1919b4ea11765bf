# shellcheck shell=bash
# Stand-ins for the images of docker-compose.yml, under the same tags, for an engine that can pull
# none: each holds this machine's own programs with the libraries that they load, and what of the
# image docker-compose.yml relies on: user, entrypoint, volumes, shell. Sourced by ops/stack/run.sh.

# What ops/stack-test.sh made: a folder to work in, and what Python and Node brought.
: "${work:?}" "${python_tools:?}" "${mongosh:?}" "${secantus:?}"

# new_root DIR: the bare bones of an image, with a shell and the tools of busybox.
new_root() {
  local root="$1" folder
  mkdir -p "$root"/usr/{bin,sbin,lib,lib64,local/bin} "$root"/{etc,tmp,run,var,proc,sys,dev}
  for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$root/$folder"; done
  chmod 1777 "$root/tmp"
  printf 'root:x:0:0::/:/bin/sh\nstand-in:x:%s:%s::/tmp:/bin/sh\n' "$2" "$2" >"$root/etc/passwd"
  printf 'root:x:0:\nstand-in:x:%s:\n' "$2" >"$root/etc/group"
  printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
}

# add_programs DIR PROGRAM...: with the libraries that they load.
add_programs() {
  local root="$1" program file
  shift
  for program in "$@"; do
    file="$(command -v "$program")" || { echo "there is no $program" >&2; return 1; }
    cp -L "$file" "$root/usr/bin/${program##*/}"
    add_libraries "$root" "$file"
  done
}

# add_libraries DIR FILE...: what the files load, at the same paths.
add_libraries() {
  local root="$1" library
  shift
  { ldd "$@" 2>/dev/null || true; } | grep -oE '/[^ ]+\.so[^ ]*' | sort -u | while read -r library; do
    [ -e "$root$library" ] || [[ "$library" == *: ]] || {
      mkdir -p "$root${library%/*}"
      cp -L "$library" "$root$library"
    }
  done
}

add_shell() {
  local root="$1" applet
  add_programs "$root" busybox bash install
  # Those that the images are known to have.
  for applet in sh cat cp chmod chown env grep head id ls mkdir mv printf rm sleep stat \
    tail test touch tr wget nslookup ip httpd seq; do
    ln -sf busybox "$root/usr/bin/$applet"
  done
}

# import_image TAG DIR CHANGE...: the folder becomes an image.
import_image() {
  local tag="$1" root="$2" change changes=()
  shift 2
  for change in "$@"; do changes+=(--change "$change"); done
  tar --create --directory "$root" --numeric-owner . | docker import "${changes[@]}" - "$tag" >/dev/null
  rm -rf "$root"
}

# The tag that docker-compose.yml has for an image of that name.
tag_of() { sed -n "s#^ *image: \($1:[^ ]*\)\$#\1#p" docker-compose.yml | head -n 1; }

make_redis() {
  local root="$work/root"
  new_root "$root" 999
  add_shell "$root"
  add_programs "$root" redis-server redis-cli
  install -d -o 999 -g 999 "$root/data"
  import_image "$(tag_of redis)" "$root" 'VOLUME /data' 'WORKDIR /data' 'CMD ["redis-server"]'
}

make_watchers() {
  local root="$work/root" alertmanager
  new_root "$root" 65534
  add_shell "$root"
  add_programs "$root" prometheus
  install -d -o 65534 -g 65534 "$root/prometheus" "$root/etc/prometheus"
  import_image "$(tag_of prom/prometheus)" "$root" 'USER 65534' 'WORKDIR /prometheus' \
    'VOLUME /prometheus' 'ENTRYPOINT ["/bin/prometheus"]'
  alertmanager="$(command -v prometheus-alertmanager || command -v alertmanager)"
  new_root "$root" 65534
  add_shell "$root"
  add_programs "$root" "$alertmanager"
  mv "$root/usr/bin/${alertmanager##*/}" "$root/usr/bin/the-alertmanager"
  # Debian's keeps its templates there.
  mkdir -p "$root/usr/share/prometheus"
  [ ! -d /usr/share/prometheus/alertmanager ] \
    || cp -rL /usr/share/prometheus/alertmanager "$root/usr/share/prometheus/"
  install -d -o 65534 -g 65534 "$root/alertmanager" "$root/etc/alertmanager"
  import_image "$(tag_of prom/alertmanager)" "$root" 'USER 65534' 'WORKDIR /alertmanager' \
    'VOLUME /alertmanager' 'ENTRYPOINT ["/bin/the-alertmanager"]'
}

make_balancer() {
  local root="$work/root"
  new_root "$root" 101
  add_shell "$root"
  add_programs "$root" nginx curl
  import_image "$(tag_of nginx)" "$root" 'CMD ["nginx", "-g", "daemon off;"]'
}

# Answers as Grafana's health route does, if what is mounted can be read.
make_grafana() {
  local root="$work/root"
  new_root "$root" 472
  add_shell "$root"
  mkdir -p "$root/www/api"
  install -d -o 472 -g 0 "$root/var/lib/grafana"
  printf '{"database": "ok"}\n' >"$root/www/api/health"
  cat >"$root/run.sh" <<'SCRIPT'
#!/bin/sh
set -eu
test -s "$GF_SECURITY_ADMIN_PASSWORD__FILE"
test -n "$ORCHESTRATOR_API_KEY"
cat /etc/grafana/provisioning/datasources/*.y*ml >/dev/null
cat /etc/grafana/provisioning/dashboards/*.y*ml >/dev/null
ls /var/lib/grafana/dashboards/*.json
touch /var/lib/grafana/grafana.db
httpd -f -p 3000 -h /www &
trap 'kill $!' TERM
wait
SCRIPT
  chmod 0755 "$root/run.sh"
  import_image "$(tag_of grafana/grafana)" "$root" 'USER 472' 'VOLUME /var/lib/grafana' 'ENTRYPOINT ["/run.sh"]'
}

# SecantusDB speaks MongoDB's protocol, and npm's mongosh is MongoDB's own shell.
make_mongo() {
  local root="$work/root" prefix library
  new_root "$root" 999
  add_shell "$root"
  add_programs "$root" node
  prefix="$("$python_tools/bin/python" -c 'import sys; print(sys.base_prefix)')"
  library="$("$python_tools/bin/python" -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
  cp -L "$("$python_tools/bin/python" -c 'import os, sys; print(os.path.realpath(sys.executable))')" \
    "$root/usr/bin/python3"
  mkdir -p "$root$library" "$root/opt"
  tar -C "$library" --exclude=./test --exclude=./site-packages --exclude=./dist-packages \
    --exclude=./ensurepip --exclude=./idlelib --exclude=__pycache__ --exclude='./config-*' -c . \
    | tar -x -C "$root$library"
  chmod -R a+rX "$root${prefix%%/lib*}" 2>/dev/null || true
  cp -r "$secantus" "$root/opt/secantus"
  # Its folders are below that of root in some places, which is nobody else's.
  find "$root" -type d -exec chmod a+rx {} +
  mkdir -p "$root/opt/mongosh"
  tar -C "$mongosh" --exclude='*.map' --exclude='*.ts' --exclude='*.md' -c node_modules \
    | tar -x -C "$root/opt/mongosh"
  find "$root$library" "$root/opt/secantus" -name '*.so*' -type f -print0 \
    | xargs -0 bash -c "$(declare -f add_libraries); add_libraries \"\$0\" \"\$@\"" "$root"
  add_libraries "$root" "$root/usr/bin/python3"
  install -d -o 999 -g 999 "$root/data/db" "$root/data/configdb"
  cat >"$root/usr/bin/mongosh" <<'SCRIPT'
#!/bin/sh
exec node /opt/mongosh/node_modules/mongosh/bin/mongosh.js "$@"
SCRIPT
  # Pages that are never too large: as in ops/test.sh, and for its reason. And it says by which name
  # it is reached, as the configuration of a replica set does.
  cat >"$root/usr/bin/secantusd" <<SCRIPT
#!/bin/sh
export PYTHONHOME=$prefix PYTHONPATH=/opt/secantus PYTHONDONTWRITEBYTECODE=1
exec python3 -c '
import os, sys, wiredtiger
from secantus.cli import main
from secantus.server import SecantusDBServer
if "ANNOUNCED_HOST" in os.environ:
    SecantusDBServer.address = property(lambda self: (os.environ["ANNOUNCED_HOST"], self.port))
create = wiredtiger.Session.create
wiredtiger.Session.create = (
    lambda self, name, config="": create(self, name, f"{config},memory_page_max=1GB")
)
sys.exit(main())' "\$@"
SCRIPT
  # As the image's: the first start makes root in a server that nobody else reaches.
  cat >"$root/usr/bin/docker-entrypoint.sh" <<'SCRIPT'
#!/bin/bash
set -eu
[ "$1" = mongod ]
keyfile=
while [ $# -gt 0 ]; do
  case "$1" in --keyFile) keyfile="$2"; shift ;; esac
  shift
done
[ "$(stat -c '%a %u' "$keyfile")" = "400 $(id -u)" ] || { echo "bad key file" >&2; exit 1; }
if [ ! -e /data/db/initialised ]; then
  secantusd --host 127.0.0.1 --port 27999 --storage-path /data/db/files --log-level WARNING &
  server=$!
  password="$(cat "$MONGO_INITDB_ROOT_PASSWORD_FILE")"
  for _ in $(seq 30); do
    : </dev/tcp/127.0.0.1/27999 && break
    sleep 0.5
  done 2>/dev/null
  mongosh --quiet --port 27999 admin --eval "db.createUser({ user: '$MONGO_INITDB_ROOT_USERNAME',
    pwd: '$password', roles: [{ role: 'root', db: 'admin' }] })"
  kill "$server"
  wait "$server" || true
  touch /data/db/initialised
fi
export ANNOUNCED_HOST=mongo
exec secantusd --host 0.0.0.0 --port 27017 --storage-path /data/db/files --log-level WARNING --auth
SCRIPT
  chmod 0755 "$root"/usr/bin/{mongosh,secantusd,docker-entrypoint.sh}
  import_image "$(tag_of mongo)" "$root" 'VOLUME ["/data/db", "/data/configdb"]' \
    'ENV HOME=/data/db' 'ENTRYPOINT ["docker-entrypoint.sh"]' 'CMD ["mongod"]'
}

# from_of N: the N-th image that the Dockerfile builds on.
from_of() { sed -n 's/^FROM \([^ ]*\).*/\1/p' Dockerfile | sed -n "$1p"; }

# The image of Rust: a `cargo` that demands of the build context all that Cargo read when it built
# the binary on this machine, and then hands that one out.
make_rust() {
  local root="$work/root" binary="$1"
  new_root "$root" 0
  add_shell "$root"
  mkdir -p "$root/built" "$root/usr/local/cargo"
  cp "$binary" "$root/built/orchestrator"
  cp "$work/inputs" "$root/built/inputs"
  cat >"$root/usr/bin/cargo" <<'SCRIPT'
#!/bin/sh
set -eu
[ "$*" = "build --release --locked --bin orchestrator" ]
while read -r file; do
  [ -e "$file" ] || { echo "the build context lacks $file" >&2; exit 1; }
done </built/inputs
mkdir -p target/release
cp /built/orchestrator target/release/orchestrator
SCRIPT
  chmod 0755 "$root/usr/bin/cargo"
  import_image "$(from_of 1)" "$root"
}

# What the binary needs at run time, as the image without a shell has it.
make_distroless() {
  local root="$work/root"
  new_root "$root" 65532
  add_libraries "$root" "$1"
  mkdir -p "$root/usr/share" "$root/etc/ssl/certs"
  cp -r /usr/share/zoneinfo "$root/usr/share/"
  cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
  import_image "$(from_of 2)" "$root" 'USER 65532' 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin'
}
