#!/usr/bin/env bash
# Make the environment: uv (installed into .venv/bootstrap when missing), the locked packages, and the system libraries the PDF pages need.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }

python3 - <<'PY' || { say "Governor needs Python 3.11 or later as python3"; exit 1; }
import sys
sys.exit(0 if sys.version_info >= (3, 11) else 1)
PY

uv="${1:-uv}"
if ! command -v "$uv" >/dev/null 2>&1; then
  say "[1/3] installing uv into .venv/bootstrap"
  mkdir -p .venv
  if ! python3 -m venv .venv/bootstrap 2>/dev/null; then
    if [ "$(id -u)" = 0 ]; then
      apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null && rm -rf .venv/bootstrap && python3 -m venv .venv/bootstrap
    else
      say "python3 cannot make virtual environments here: run  sudo apt-get install -y python3-venv  and try again"; exit 1
    fi
  fi
  .venv/bootstrap/bin/pip install -q --disable-pip-version-check uv
  uv=.venv/bootstrap/bin/uv
else
  say "[1/3] uv is here: $("$uv" --version)"
fi

say "[2/3] installing the locked packages into .venv"
# uv refuses a directory that is not an environment; the bootstrap may have made .venv first
[ -f .venv/pyvenv.cfg ] || "$uv" venv --quiet --allow-existing --python "$(command -v python3)" .venv
"$uv" sync --frozen --quiet

say "[3/3] checking system libraries"
need=()
.venv/bin/python -c "import weasyprint" >/dev/null 2>&1 || need+=(libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fonts-dejavu-core)
fc-list 2>/dev/null | grep -qi dejavu || need+=(fontconfig fonts-dejavu-core)
# what cuts the fonts of a PDF and the face that reports are set in; without them fontTools and DejaVu do
[ "$(id -u)" != 0 ] || ldconfig -p | grep -q libharfbuzz-subset || need+=(libharfbuzz-subset0)
[ "$(id -u)" != 0 ] || fc-list 2>/dev/null | grep -qi liberation || need+=(fontconfig fonts-liberation)
if [ "${CI:-}" = true ]; then
  command -v chromium >/dev/null || need+=(chromium)
  command -v pdftotext >/dev/null || need+=(poppler-utils)
  # the other programs that verify a packet, and the trace that shows no network call
  command -v node >/dev/null || need+=(nodejs)
  command -v openssl >/dev/null || need+=(openssl)
  command -v jq >/dev/null || need+=(jq)
  command -v unzip >/dev/null || need+=(unzip)
  command -v xxd >/dev/null || need+=(xxd)
  command -v strace >/dev/null || need+=(strace)
  command -v go >/dev/null || need+=(golang-go)
  [ -d /usr/share/gocode/src/golang.org/x/mod ] || need+=(golang-golang-x-mod-dev)
fi
if [ ${#need[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "      installing ${need[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq && apt-get install -y -qq --no-install-recommends "${need[@]}" >/dev/null
  else
    say "      missing: ${need[*]}. Run:  sudo apt-get install -y ${need[*]}"
    exit 1
  fi
fi
say "ready"
