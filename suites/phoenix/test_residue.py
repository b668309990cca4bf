"""What the bake may have left behind besides what the baseline looks for; judged before the image's first boot."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable

import pytest
from testinfra.host import Host

from imagetest import control, not_applicable

from .declared import Declared
from .expected import EXPECTED, JUDGED_ELSEWHERE

BUILDERS = frozenset({"ansible", "buildbot", "builder", "chef", "jenkins", "kitchen", "packer", "vagrant"})
"""Accounts that are made to build with."""

FIRST_LOGIN, NOBODY = 1000, 65534
"""The first number of a person's account, and that of none (login.defs(5), deb-policy 9.2.2)."""

# A system whose /bin is /usr/bin knows one file by two names.
STRANGE = r"""
{ if command -v dpkg-query >/dev/null; then
      cat /var/lib/dpkg/info/*.list; dpkg-divert --list | awk '{ print $(NF - 2) }'
  else
      rpm --query --all --list
  fi || exit
  echo
  find / \( PRUNED \) -prune -o -type f -print -o -type l ! -lname '/etc/alternatives/*' \
      ! \( -path '/etc/systemd/*' \( -lname /dev/null -o -lname '*/systemd/*' -o -lname '/usr/lib/*' \
          -o -lname '/lib/*' -o -lname '../*' \) \) -print
} | awk '
    { path = $0; if (path ~ "^/(bin|sbin|lib|lib32|lib64|libx32)/") path = "/usr" path }
    !files && $0 == "" { files = 1; next }
    !files { known[path]; next }
    !(path in known)'
"""

# A value is likely a secret when it is long and its letters follow no pattern: Shannon's entropy, in bits a letter.
# Under a name that says so, less of it is enough. What is found is named and never shown.
LIKELY = r"""
function entropy(text,    seen, i, letter, n, bits) {
    split("", seen); n = length(text); bits = 0
    for (i = 1; i <= n; i++) seen[substr(text, i, 1)]++
    for (letter in seen) bits -= seen[letter] / n * log(seen[letter] / n) / log(2)
    return bits
}
function likely(name, value,    secret) {
    gsub(/^["\047]|["\047;,]+$/, "", value)
    secret = tolower(name) ~ /passw|passphrase|secret|token|api_?-?key|access_?-?key|private_?-?key|credential/
    if (value !~ /^[A-Za-z0-9+\/=_.~!@#%^&*-]+$/ || value ~ /^[\/.~]/ || value ~ /^[a-z]+:\/\// ) return 0
    if (value !~ /[0-9]/ || value !~ /[A-Za-z]/) return 0
    if (secret) return length(value) >= 12 && entropy(value) >= 3.0 && value !~ /[.][a-z]+$/
    return length(value) >= 32 && entropy(value) >= 4.3 && value !~ /[.\/@]/
}
/^[ \t]*[#;]/ { next }
match($0, /^[ \t]*(export[ \t]+)?["\047]?[A-Za-z_][A-Za-z0-9_.-]*["\047]?[ \t]*[=:][ \t]*/) {
    name = substr($0, 1, RLENGTH); value = substr($0, RLENGTH + 1)
    gsub(/export[ \t]+|[ \t"\047=:]/, "", name); sub(/[ \t].*$/, "", value)
    if (likely(name, value)) print FILENAME ": " name
}
"""
SETTINGS = "-type f -size -256k ! -path '/etc/ssl/certs/*' ! -name 'shadow*' ! -name 'gshadow*'"
PLACES = "/etc /opt /root /srv /usr/local /var/lib/private /var/www"


@control("phoenix-no-build-users")
def test_no_user_of_the_bake_is_left(at_rest: Host, declared: Declared) -> None:
    """Every account that somebody may log in to is declared, none is a builder's, and no home is without its user."""
    accounts = [line.split(":") for line in at_rest.check_output("cat /etc/passwd").splitlines()]
    people = {one[0] for one in accounts if int(one[2]) >= FIRST_LOGIN and int(one[2]) != NOBODY}
    left = (people | {one[0] for one in accounts if one[0] in BUILDERS}) - {*declared.users}
    homes = at_rest.check_output('for f in /home/*; do if [ -e "$f" ]; then echo "$f"; fi; done').splitlines()
    empty = sorted({*homes} - {one[5].rstrip("/") for one in accounts} - {"/home/lost+found"})

    assert not left, f"accounts that are not declared: {sorted(left)}"
    assert not empty, f"homes of nobody: {empty}"


@control("phoenix-no-strange-files")
def test_every_file_belongs_to_a_package_or_is_declared(at_rest: Host, declared: Declared) -> None:
    """What no package brought was made by the system itself, or stands in `phoenix.toml`."""
    if at_rest.run("command -v dpkg-query || command -v rpm").rc:
        not_applicable("no packages: neither dpkg nor rpm is there")
    pruned = " -o ".join(f"-path {folder}" for folder in JUDGED_ELSEWHERE)
    found = at_rest.check_output(STRANGE.replace("PRUNED", pruned)).splitlines()
    strange = sorted(_unlike(found, [*EXPECTED, *declared.unpackaged]))

    assert not strange, f"{len(strange)} files belong to no package: {strange}"


@control("phoenix-no-removed-packages")
def test_no_package_is_left_half_removed(at_rest: Host) -> None:
    """Whatever was removed was purged, with its configuration."""
    if at_rest.run("command -v dpkg-query").rc:
        not_applicable("only dpkg keeps the configuration of what it removed")
    rows = at_rest.check_output(
        "dpkg-query --show --showformat='${db:Status-Status} ${binary:Package}\\n'"
    ).splitlines()
    left = [row.partition(" ")[2] for row in rows if row.startswith("config-files ")]

    assert not left, f"removed and not purged: {left}"


@control("phoenix-no-likely-secrets")
def test_no_setting_looks_like_a_secret(at_rest: Host, declared: Declared) -> None:
    """No value in a file of settings, or in the environment that the image gives its processes, is as hard to guess."""
    if at_rest.run("command -v awk && command -v xargs").rc:
        pytest.skip("the image has no awk and xargs to look with")
    program = LIKELY.strip().replace("'", "'\\''")
    places = f'set --; for d in {PLACES}; do if [ -d $d ]; then set -- "$@" $d; fi; done'
    files = f"{places}; find \"$@\" {SETTINGS} -exec grep -lI . {{}} + | tr '\\n' '\\0' | xargs -0 -r awk '{program}'"
    environment = f"env | awk '{program}' | sed 's/^[^:]*:/environment:/'"
    found = at_rest.check_output(files).splitlines() + at_rest.check_output(environment).splitlines()
    likely = sorted(one for one in set(found) if one.partition(": ")[0] not in declared.secrets)

    assert not likely, f"looks like a secret: {likely}"


def _unlike(paths: Iterable[str], patterns: Iterable[str]) -> list[str]:
    """Return the paths that no pattern matches; one of a folder matches all below it."""
    known = list(patterns)
    return [
        path for path in paths
        if not any(fnmatch.fnmatchcase(path, one) or fnmatch.fnmatchcase(path, f"{one.rstrip('/')}/*") for one in known)
    ]  # fmt: skip
