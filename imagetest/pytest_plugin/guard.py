"""Without an image and without hosts, testinfra would judge the machine that runs pytest: refuse that."""

from __future__ import annotations

import pytest


class Guard:
    """Watches a run that names no image."""

    def __init__(self, config: pytest.Config) -> None:
        option = config.option
        for name in ("against", "gate", "platform_parity", "promote", "profile", "rebake", "report_dir"):
            if getattr(option, name):
                flag = name.replace("_", "-")
                raise pytest.UsageError(f"--{flag} needs an image to be about: add --image NAME")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Stop before a control is judged on this machine by mistake; `--hosts local://` says that it is meant."""
        if config.option.hosts or config.option.collectonly:
            return
        for item in items:
            if item.get_closest_marker("control") and _is_local(item):
                raise pytest.UsageError(
                    f"{item.nodeid} would judge this machine, because neither --image nor --hosts is given\n"
                    "  add --image NAME to judge an image, or --hosts local:// if this machine is meant"
                )


def _is_local(item: pytest.Item) -> bool:
    host = getattr(item, "callspec", None) and getattr(item, "callspec").params.get("_testinfra_host")  # noqa: B009
    return host is not None and host.backend.get_connection_type() == "local"
