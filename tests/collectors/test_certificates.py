"""Certificates, and never a private key."""

from __future__ import annotations

import pytest

from imagetest.collectors.certificates import CertificatesCollector, places_of
from imagetest.model.plan import Scope
from imagetest.model.snapshot import Family
from tests.collectors.conftest import Boots
from tests.collectors.recorded import part, zeros
from tests.collectors.snowflakes import certificate
from tests.dockyard import Dockyard
from tests.drivers.images import server

GARBAGE = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"


def read(content: str) -> Family:
    return CertificatesCollector().read({"certificates": part(zeros("/etc/ssl/x.pem", content))})


def test_a_certificate_tells_who_until_when_and_which() -> None:
    (key, fact), *more = read(certificate()).facts.items()

    assert (key, more) == ("/etc/ssl/x.pem: CN=handmade", [])
    assert (fact["issuer"], fact["not after"]) == ("CN=handmade", "2027-01-01 00:00:00 UTC")
    assert len(fact["sha256"]) == 64


def test_several_of_one_subject_are_several_facts() -> None:
    found = read(certificate() + certificate()).facts

    assert list(found) == ["/etc/ssl/x.pem: CN=handmade", "/etc/ssl/x.pem: CN=handmade (2)"]


@pytest.mark.parametrize("body", ["AAAA", "not base64!", "", "MIIBAAAA"])
def test_what_is_none_is_told_by_its_digest(body: str) -> None:
    (key,) = read(GARBAGE.format(body)).facts

    assert key == "/etc/ssl/x.pem: unreadable"


def test_no_folder_is_searched_twice() -> None:
    assert list(places_of(Scope(roots=("/etc", "/opt")))) == ["/etc", "/opt"]
    assert list(places_of(Scope(roots=()))) == ["/etc/pki", "/etc/ssl"]
    assert list(places_of(Scope(roots=("/",)))) == ["/"]


@pytest.mark.docker
def test_the_private_key_beside_a_certificate_stays_where_it_is(dockyard: Dockyard, boots: Boots) -> None:
    key = "-----BEGIN PRIVATE KEY-----\nhunter22\n-----END PRIVATE KEY-----"
    with boots(dockyard.build(*server())) as up:
        up.run(f"mkdir /etc/nginx; printf '%s' '{certificate()}{key}' >/etc/nginx/both.pem")
        found = up.snapshot("certificates", "files")
        family, files = found.family("certificates"), found.family("files")

    assert family is not None
    assert files is not None
    assert list(family.facts) == ["/etc/nginx/both.pem: CN=handmade"]
    assert "sha256" in files.facts["/etc/nginx/both.pem"]["content"]
    assert "hunter22" not in repr(found)
