"""Which cryptography the SSH server agrees to."""

from __future__ import annotations

from imagetest import control

WEAK_CIPHERS = ("3des", "arcfour", "blowfish", "cast128", "-cbc", "rijndael")
WEAK_MACS = ("md5", "ripemd", "sha1", "umac-64", "-96")


@control("sshd-strong-ciphers")
def test_ciphers_are_strong(sshd: dict[str, str]) -> None:
    """No cipher with a short block, in CBC mode or with a known break is offered."""
    weak = _those_with(WEAK_CIPHERS, sshd["ciphers"])

    assert not weak, f"offered: {weak}"


@control("sshd-strong-macs")
def test_message_authentication_codes_are_strong(sshd: dict[str, str]) -> None:
    """No code of MD5 or SHA-1 and none shorter than 128 bits is offered."""
    weak = _those_with(WEAK_MACS, sshd["macs"])

    assert not weak, f"offered: {weak}"


@control("sshd-strong-key-exchange")
def test_key_exchange_is_strong(sshd: dict[str, str]) -> None:
    """No key exchange that rests on SHA-1 is offered."""
    weak = _those_with(("sha1",), sshd["kexalgorithms"])

    assert not weak, f"offered: {weak}"


def _those_with(parts: tuple[str, ...], algorithms: str) -> list[str]:
    return [name for name in algorithms.split(",") if any(part in name for part in parts)]
