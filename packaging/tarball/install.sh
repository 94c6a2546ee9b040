#!/bin/sh
# Installs akkd and akkctl below a prefix. Needs no root for the default one, and changes nothing outside of it.
set -eu
export LC_ALL=C
umask 022

usage() {
  cat <<'END'
./install.sh [--prefix DIR]

Installs akkd, akkctl, their manual pages, completions and documents below DIR
[default: $PREFIX, else ~/.local]. Over an older version it replaces that one.
DIR/share/akk/uninstall removes everything again.
END
}

fail() {
  printf 'install.sh: %s\n' "$*" >&2
  exit 1
}

prefix=${PREFIX:-}
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage && exit 0 ;;
    --prefix) [ $# -gt 1 ] || fail '--prefix needs a folder' ; prefix=$2 && shift 2 ;;
    --prefix=*) prefix=${1#--prefix=} && shift ;;
    *) usage >&2 && exit 2 ;;
  esac
done
[ -n "$prefix" ] || prefix=${HOME:?set HOME, or say --prefix DIR}/.local
case $prefix in /*) ;; *) prefix=$PWD/$prefix ;; esac
files=$(cd "$(dirname "$0")" && pwd)/files

said=$("$files/bin/akkctl" --version 2>&1) && "$files/bin/akkd" --version >/dev/null 2>&1 ||
  fail "these programs do not run on this machine ($said): build them from source, as README.md says"

manifest=$prefix/share/akk/manifest
older=$(cat "$manifest" 2>/dev/null || true)
before=$("$prefix/bin/akkctl" --version 2>/dev/null || true)

# Folders that were not there before, outermost first, then the files: what uninstall removes, and nothing else.
fresh=$(mktemp "${TMPDIR:-/tmp}/akk-install.XXXXXX")
trap 'rm -f "$fresh"' EXIT
trap 'exit 1' HUP INT TERM
make_folder() {
  [ -d "$1" ] && return
  make_folder "$(dirname "$1")"
  mkdir "$1" || fail "the folder $1 cannot be made: choose another one with --prefix"
  printf '%s/\n' "$1" >>"$fresh"
}

make_folder "$prefix/share/akk"
(cd "$files" && find . -type f | sed 's|^\./||' | sort) >"$fresh.files"
trap 'rm -f "$fresh" "$fresh.files"' EXIT
while read -r file; do
  case $file in
    share/systemd/*)
      # A unit wants some characters of a path written in another way: `akkctl daemon install` knows how.
      case $prefix in *[!A-Za-z0-9/._+-]*) continue ;; esac
      ;;
  esac
  make_folder "$(dirname "$prefix/$file")"
  to=$prefix/$file
  # A new file beside, then in place of the old one: an akkd that runs keeps the one that it has.
  case $file in
    share/systemd/user/akkd.service) sed "s|@AKKD@|$prefix/bin/akkd|" "$files/$file" >"$to.new" ;;
    *) cp "$files/$file" "$to.new" ;;
  esac || fail "$to cannot be written"
  case $file in bin/* | share/akk/uninstall | */examples/*) chmod 755 "$to.new" ;; *) chmod 644 "$to.new" ;; esac
  mv -f "$to.new" "$to"
  printf '%s\n' "$to" >>"$fresh"
done <"$fresh.files"
printf '%s\n' "$manifest" >>"$fresh"

# What only the older version had goes; the folders that it made stay known.
printf '%s\n' "$older" | while read -r path; do
  case $path in
    '') ;;
    */) [ ! -d "$path" ] || printf '%s\n' "$path" ;;
    *) grep -qxF -- "$path" "$fresh" || rm -f -- "$path" ;;
  esac
done >"$fresh.files"
cat "$fresh" >>"$fresh.files"
cp "$fresh.files" "$manifest.new"
chmod 644 "$manifest.new"
mv -f "$manifest.new" "$manifest"

echo "$said is installed: $prefix/bin/akkctl, with akkd beside it."
if [ -n "$before" ]; then
  echo "It took the place of $before. An akkd that runs is still the old one: akkctl daemon stop; as a service, then akkctl daemon start"
fi
case ":${PATH:-}:" in
  *":$prefix/bin:"*)
    first=$(command -v akkctl || true)
    [ "$first" = "$prefix/bin/akkctl" ] || echo "Another akkctl comes first in your PATH: $first"
    ;;
  *)
    echo
    echo "Your PATH does not have it yet. Put this line into ~/.profile (or ~/.zprofile), and type it here too:"
    echo "  export PATH=\"$prefix/bin:\$PATH\""
    ;;
esac
cat <<END

Next:
  akkctl demo                                              # one minute, no account
  cd my-project && akkctl delegate --agent codex --wait "Fix the failing tests."
  akkctl daemon install                                    # optional: a service of yours, started at login
  akkctl --help; man akkctl

Completions of bash and fish work in new shells where these look below $prefix/share (they do for ~/.local).
For zsh put this before compinit in ~/.zshrc: fpath=($prefix/share/zsh/site-functions \$fpath)

To remove it: $prefix/share/akk/uninstall
END
