"""What AWS says of one instance, in words: answers that no emulation gives, by botocore's Stubber."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from botocore.stub import Stubber

from imagetest.drivers.console import last_lines
from imagetest.drivers.ec2 import belongings
from imagetest.drivers.ec2.driver import SILENT
from imagetest.drivers.ec2.instance import Ec2Instance
from imagetest.errors import BootError, LeakError

ID = "i-0123456789abcdef0"
RESOURCE = "imagetest-1-web@eu-west-1"
PRINTED = (
    "[   12.1] cloud-init\r\n\x1b[0;32m-----BEGIN SSH HOST KEY KEYS-----\r\n"
    "ecdsa-sha2-nistp256 AAAAE2 root@ip\r\nssh-ed25519 AAAAC3 root@ip\r\n-----END SSH HOST KEY KEYS-----\r\nlogin: "
)


def described(state: str, **changes: Any) -> dict[str, Any]:
    said = {"InstanceId": ID, "State": {"Name": state, "Code": 16}, **changes}
    return {"Reservations": [{"Instances": [said]}]}


def test_a_spot_instance_that_was_taken_back_says_so(stubber: Stubber) -> None:
    reason = {"Code": "Server.SpotInstanceTermination", "Message": "Server.SpotInstanceTermination: no capacity"}
    stubber.add_response("describe_instances", described("terminated", StateReason=reason))

    with pytest.raises(BootError, match="AWS took the spot instance back"):
        Ec2Instance(stubber.client, ID).wait_until_it_runs()


def test_an_instance_that_ends_at_once_says_why(stubber: Stubber) -> None:
    reason = {"Code": "Client.InvalidKMSKey.InvalidState", "Message": "The KMS key provided is in an incorrect state"}
    stubber.add_response("describe_instances", described("pending"))
    stubber.add_response("describe_instances", described("terminated", StateReason=reason))

    with pytest.raises(BootError, match="is terminated: The KMS key provided is in an incorrect state"):
        Ec2Instance(stubber.client, ID).wait_until_it_runs()


def test_an_instance_whose_key_may_not_be_used_says_what_to_look_at(stubber: Stubber) -> None:
    reason = {"Code": "Client.InternalError", "Message": "Client.InternalError: Client error on launch"}
    stubber.add_response("describe_instances", described("terminated", StateReason=reason))

    with pytest.raises(BootError, match=r"Client error on launch; may these credentials use the key .*kms:CreateGrant"):
        Ec2Instance(stubber.client, ID).wait_until_it_runs()


def test_an_instance_without_an_address_is_one_line(stubber: Stubber) -> None:
    stubber.add_response("describe_instances", described("running", PrivateIpAddress="10.0.0.7"))
    machine = Ec2Instance(stubber.client, ID)
    machine.look()

    assert machine.address("private") == "10.0.0.7"
    with pytest.raises(BootError, match="got no public address"):
        machine.address("public")


def test_the_host_key_is_read_from_among_what_the_console_says(stubber: Stubber) -> None:
    stubber.add_response(
        "get_console_output",
        {"Output": base64.b64encode(PRINTED.encode()).decode()},
        {"InstanceId": ID, "Latest": True},
    )

    assert Ec2Instance(stubber.client, ID).host_keys() == ["ssh-ed25519 AAAAC3"]


def test_a_hypervisor_that_has_not_the_newest_console_is_asked_for_what_it_has(stubber: Stubber) -> None:
    stubber.add_client_error("get_console_output", "UnsupportedOperation")
    stubber.add_response("get_console_output", {"Output": "b2xk"}, {"InstanceId": ID})

    assert Ec2Instance(stubber.client, ID).console() == "old"


def test_a_console_that_says_nothing_yet_is_no_error(stubber: Stubber) -> None:
    stubber.add_response("get_console_output", {"InstanceId": ID})

    assert last_lines(Ec2Instance(stubber.client, ID).console(), nothing=SILENT) == "its console said nothing yet"


def test_status_checks_are_told_with_what_is_planned(stubber: Stubber) -> None:
    one = {
        "InstanceId": ID, "SystemStatus": {"Status": "impaired"}, "InstanceStatus": {"Status": "initializing"},
        "Events": [{"Code": "system-reboot", "Description": "scheduled reboot"}],
    }  # fmt: skip
    stubber.add_response("describe_instance_status", {"InstanceStatuses": [one]})

    said = Ec2Instance(stubber.client, ID).checks()
    assert said == "status checks: system impaired, instance initializing, event system-reboot: scheduled reboot"


def nothing(stubber: Stubber, *operations: str) -> None:
    fields = {
        "describe_spot_instance_requests": "SpotInstanceRequests", "describe_network_interfaces": "NetworkInterfaces",
        "describe_volumes": "Volumes", "describe_security_groups": "SecurityGroups", "describe_key_pairs": "KeyPairs",
    }  # fmt: skip
    for one in operations or tuple(fields):
        stubber.add_response(one, {fields[one]: []})


def test_instances_are_found_on_every_page(stubber: Stubber) -> None:
    stubber.add_response("describe_instances", described("running") | {"NextToken": "more"})
    stubber.add_response("describe_instances", {"Reservations": [{"Instances": [{"InstanceId": "i-2"}]}]})
    nothing(stubber, "describe_key_pairs", "describe_security_groups")  # that unmarked ones would have
    for one in (ID, "i-2"):
        stubber.add_response("terminate_instances", {}, {"InstanceIds": [one]})
    for one in (ID, "i-2"):
        stubber.add_response("describe_instances", described("terminated"), {"InstanceIds": [one]})
    nothing(stubber)

    belongings.remove(stubber.client, "eu-west-1", RESOURCE)


def test_an_instance_that_is_not_listed_yet_is_terminated_by_its_id(stubber: Stubber) -> None:
    stubber.add_response("describe_instances", {"Reservations": []})
    nothing(stubber, "describe_key_pairs", "describe_security_groups")  # that unmarked ones would have
    stubber.add_client_error("terminate_instances", "InvalidInstanceID.NotFound")
    stubber.add_response("terminate_instances", {}, {"InstanceIds": [ID]})
    stubber.add_response("describe_instances", described("terminated"), {"InstanceIds": [ID]})
    nothing(stubber)

    belongings.remove(stubber.client, "eu-west-1", RESOURCE, instances=(ID,))


def test_a_spot_request_is_cancelled_and_what_is_left_is_deleted(stubber: Stubber) -> None:
    stubber.add_response("describe_instances", {"Reservations": []})
    nothing(stubber, "describe_key_pairs", "describe_security_groups")  # that unmarked ones would have
    requests = [
        {"SpotInstanceRequestId": "sir-1", "State": "open"},
        {"SpotInstanceRequestId": "sir-2", "State": "closed"},
    ]
    stubber.add_response("describe_spot_instance_requests", {"SpotInstanceRequests": requests})
    stubber.add_response("cancel_spot_instance_requests", {}, {"SpotInstanceRequestIds": ["sir-1"]})
    stubber.add_response("describe_network_interfaces", {"NetworkInterfaces": [{"NetworkInterfaceId": "eni-1"}]})
    stubber.add_response("delete_network_interface", {}, {"NetworkInterfaceId": "eni-1"})
    stubber.add_response("describe_volumes", {"Volumes": [{"VolumeId": "vol-1"}]})
    stubber.add_client_error("delete_volume", "InvalidVolume.NotFound")
    nothing(stubber, "describe_security_groups", "describe_key_pairs")

    belongings.remove(stubber.client, "eu-west-1", RESOURCE)


def test_everything_is_tried_and_the_leak_names_all_that_stays(stubber: Stubber) -> None:
    stubber.add_client_error("describe_instances", "UnauthorizedOperation")
    nothing(stubber, "describe_spot_instance_requests", "describe_network_interfaces", "describe_volumes")
    stubber.add_response("describe_security_groups", {"SecurityGroups": [{"GroupId": "sg-1"}]})
    stubber.add_client_error("delete_security_group", "UnauthorizedOperation")
    nothing(stubber, "describe_key_pairs")

    with pytest.raises(LeakError, match="look for the instances") as caught:
        belongings.remove(stubber.client, "eu-west-1", RESOURCE)
    assert "delete security group 'sg-1'" in str(caught.value)
