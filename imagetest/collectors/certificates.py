"""X.509 certificates in PEM files (RFC 7468, RFC 5280)."""

from __future__ import annotations

import base64
import binascii
import functools
import re
import shlex
import threading
import warnings
from collections.abc import Iterator, Mapping

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from imagetest.collectors.files import NOT_FILES, STORES
from imagetest.collectors.reading import Distinct, digest, legible, pairs, told, walked
from imagetest.collectors.rules import normalised
from imagetest.model.plan import Scope
from imagetest.model.snapshot import Family, Part

PLACES = ("/etc/ssl", "/etc/pki")
LARGEST = 2048
"""KiB of a file in which a certificate is looked for."""

SCRIPT = r"""
certificates() {
    find PLACES \( PRUNED \) -prune -o -type f -size -LARGESTk \
        -exec grep -l -e '-----BEGIN \(TRUSTED \)\{0,1\}CERTIFICATE-----' {} + |
        while IFS= read -r file; do
            [ -r "$file" ] || continue
            printf '%s\0' "$file"
            sed -n '/-----BEGIN \(TRUSTED \)\{0,1\}CERTIFICATE-----/,/-----END/p' "$file"
            printf '\0'
        done
}
ask certificates certificates
"""
"""Nothing but certificates leaves the machine: a private key beside one is not asked for."""

_WARNINGS = threading.Lock()
"""Which warnings are shown is the whole process's affair, and many machines may be read at once."""

BLOCK = re.compile(rb"-----BEGIN (?:TRUSTED )?CERTIFICATE-----(.*?)-----END", re.DOTALL)


class CertificatesCollector:
    """One fact a certificate, by its file and subject: its issuer, the end of its validity, its fingerprint."""

    name = "certificates"

    def script(self, scope: Scope) -> str:
        """Look into the usual places and the scope's roots; links are told by `files`."""
        places = " ".join(map(shlex.quote, places_of(scope)))
        pruned = " -o ".join(f"-path {shlex.quote(path)}" for path in (*NOT_FILES, *STORES, *scope.excluded))
        return SCRIPT.replace("PLACES", places).replace("PRUNED", pruned).replace("LARGEST", str(LARGEST))

    def read(self, parts: Mapping[str, Part]) -> Family:
        """Read the certificates; one that cannot be parsed is a fact by its digest."""
        facts = Distinct()
        for file, content in pairs(told(parts, "certificates")):
            for block in BLOCK.findall(content):
                subject, attributes = _certificate(block)
                facts.add(f"{legible(file)}: {subject}", attributes)
        return normalised(self.name, "certificate", facts, walked(parts, "certificates"))


def places_of(scope: Scope) -> Iterator[str]:
    """Give the folders that are searched, none within another."""
    every = sorted({place.rstrip("/") or "/" for place in (*PLACES, *scope.roots)})
    for place in every:
        if not any(place.startswith(other.rstrip("/") + "/") for other in every if other != place):
            yield place


@functools.lru_cache(maxsize=4096)
def _certificate(block: bytes) -> tuple[str, dict[str, str]]:
    try:
        raw = base64.b64decode(b"".join(block.split()), validate=True)
    except (binascii.Error, ValueError):
        return "unreadable", {"sha256": digest(block)}
    try:
        with _WARNINGS, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a serial number is zero: old authorities' are
            found = x509.load_der_x509_certificate(raw)
        return legible(found.subject.rfc4514_string().encode("utf-8", "replace")), {
            "issuer": legible(found.issuer.rfc4514_string().encode("utf-8", "replace")),
            "not after": found.not_valid_after_utc.strftime("%Y-%m-%d %H:%M:%S UTC"),
            "sha256": found.fingerprint(SHA256()).hex(),
        }
    except (ValueError, TypeError, x509.UnsupportedGeneralNameType):
        return "unreadable", {"sha256": digest(raw)}
