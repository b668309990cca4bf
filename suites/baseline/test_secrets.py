"""Secrets that the bake may have left in the image; judged before its first boot."""

from __future__ import annotations

from testinfra.host import Host

from imagetest import control

WHERE = "/etc /home /opt /root /srv /tmp /usr/local /var/lib /var/tmp /var/www"
PRIVATE_KEY = "-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY( BLOCK)?-----"
TOKENS = "|".join(  # noqa: FLY002
    (
        "(AKIA|ASIA)[0-9A-Z]{16}",
        "gh[pousr]_[A-Za-z0-9]{36}",
        "github_pat_[A-Za-z0-9_]{50,}",
        "glpat-[A-Za-z0-9_-]{20}",
        "xox[abprs]-[0-9A-Za-z-]{10,}",
        "AIza[0-9A-Za-z_-]{35}",
        "hvs\\.[A-Za-z0-9_-]{24,}",
    )
)
CREDENTIALS = """
    .aws/credentials .azure/accessTokens.json .azure/msal_token_cache.json .config/gcloud/credentials.db
    .config/gcloud/application_default_credentials.json .docker/config.json .git-credentials .kube/config .my.cnf
    .netrc .pgpass .pypirc .vault-token .config/gh/hosts.yml
    """


@control("image-no-authorized-keys")
def test_nobody_may_enter_by_a_key_from_the_bake(at_rest: Host) -> None:
    """No key opens every machine that is booted from the image."""
    found = _in_homes(at_rest, ".ssh/authorized_keys .ssh/authorized_keys2")

    assert not found, f"lets somebody in: {found}"


@control("image-no-private-keys")
def test_there_are_no_private_keys(at_rest: Host, allowed: dict[str, frozenset[str]]) -> None:
    """No private key went into the image; SSH host keys are judged by a control of their own."""
    keys = [path for path in _files_with(at_rest, PRIVATE_KEY) if not path.startswith("/etc/ssh/ssh_host_")]
    found = sorted(set(keys) - allowed["secrets"])

    assert not found, f"holds a private key: {found}"


@control("image-no-tokens")
def test_there_are_no_tokens(at_rest: Host, allowed: dict[str, frozenset[str]]) -> None:
    """No access token of a cloud or a code host, known by its form, went into the image."""
    found = sorted(set(_files_with(at_rest, rf"(^|[^A-Za-z0-9_])({TOKENS})")) - allowed["secrets"])

    assert not found, f"holds a token: {found}"


@control("image-no-credential-files")
def test_there_are_no_credential_files(at_rest: Host, allowed: dict[str, frozenset[str]]) -> None:
    """No home holds the file in which a tool keeps its login."""
    found = sorted(set(_in_homes(at_rest, CREDENTIALS)) - allowed["secrets"])

    assert not found, f"holds credentials: {found}"


def _files_with(at_rest: Host, pattern: str) -> list[str]:
    """Return the text files that hold what an extended regular expression matches."""
    places = f'set --; for d in {WHERE}; do if [ -d $d ]; then set -- "$@" $d; fi; done'
    return at_rest.check_output(f'{places}; grep -rlIE -D skip -e %s "$@" || [ $? = 1 ]', pattern).splitlines()


def _in_homes(at_rest: Host, names: str) -> list[str]:
    """Return the files of some names, not empty, that lie in the home of any account."""
    look = f'for f in {" ".join(names.split())}; do if [ -s "$home/$f" ]; then echo "$home/$f"; fi; done'
    homes = "cut -d: -f6 /etc/passwd | sort -u"
    return at_rest.check_output(f"{homes} | while read -r home; do {look}; done").splitlines()
