"""Clients that know no endpoint but AWS's own come here through the proxy, and nobody else does."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request

import boto3
import pytest
from botocore.config import Config

from imagetest.testing.aws import AwsWithBodies

pytestmark = pytest.mark.docker


@pytest.fixture
def proxied(aws: AwsWithBodies) -> dict[str, str]:
    return aws.environ()


def test_a_client_of_awss_own_endpoint_is_answered(proxied: dict[str, str]) -> None:
    session = boto3.Session(
        aws_access_key_id=proxied["AWS_ACCESS_KEY_ID"], aws_secret_access_key=proxied["AWS_SECRET_ACCESS_KEY"]
    )
    through = Config(proxies={"https": proxied["HTTPS_PROXY"]})
    ec2 = session.client("ec2", region_name="eu-west-1", verify=proxied["AWS_CA_BUNDLE"], config=through)
    try:
        asked = str(ec2.meta.endpoint_url)
        names = {one["Name"] for one in ec2.describe_images()["Images"]}
    finally:
        ec2.close()

    assert asked == "https://ec2.eu-west-1.amazonaws.com"
    assert names == {"debian-12-amd64-20261101", "plain-20261115"}


@pytest.mark.parametrize("host", ["example.org", "ec2.us-east-1.amazonaws.com.example.org"])
def test_nothing_else_is_reached(proxied: dict[str, str], host: str) -> None:
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({"https": proxied["HTTPS_PROXY"]}),
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=proxied["AWS_CA_BUNDLE"])),
    )

    with pytest.raises(urllib.error.URLError, match="403 only AWS is emulated here"):
        opener.open(f"https://{host}/", timeout=30)
