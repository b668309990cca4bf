"""moto's EC2, with machines behind its instances and container images behind its AMIs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, ClassVar

from moto.ec2.exceptions import EC2ClientError, InvalidAMIIdError, InvalidInstanceTypeError
from moto.ec2.models import EC2Backend
from moto.ec2.models.amis import Ami
from moto.ec2.models.instances import Reservation
from moto.ec2.urls import url_bases
from moto.ssm.models import ssm_backends

from imagetest.errors import ConfigError
from imagetest.testing.aws.catalogue import Published
from imagetest.testing.aws.instances import Instance
from imagetest.testing.aws.machines import Yard

NO_TOKEN = "ABCDE"  # noqa: S105 - what moto says for a request without one

RESOLVE = "resolve:ssm:"


class Ec2(EC2Backend):
    """One region of EC2."""

    yard: ClassVar[Yard]
    published: ClassVar[tuple[Published, ...]]
    user: ClassVar[str]
    responses: ClassVar[Any]
    references: ClassVar[dict[str, str]] = {}
    """The container image behind each AMI, of every region."""
    lock: ClassVar[threading.RLock] = threading.RLock()

    def __init__(self, region_name: str, account_id: str) -> None:
        self._launched: dict[str, tuple[Reservation, object]] = {}
        self._copied: dict[str, Ami] = {}
        super().__init__(region_name, account_id)

    @property
    def _url_module(self) -> Any:
        return SimpleNamespace(url_bases=url_bases, url_paths={"{0}/": self.responses.dispatch})

    def _load_amis(self) -> None:
        for position, one in enumerate(self.published):
            self.amis[one.id(self.region_name)] = ami = Ami(
                self, one.id(self.region_name), owner_id=one.owner, public=True, name=one.name, description=one.name,
                architecture=one.architecture, creation_date=one.created(position), image_location=one.name,
                hypervisor="xen", virtualization_type="hvm", root_device_type="ebs", root_device_name="/dev/xvda",
            )  # fmt: skip
            self.references[ami.id] = one.reference

    def look(self) -> None:
        """See which machines have powered themselves off."""
        with self.lock:
            for instance in self.all_instances():
                if isinstance(instance, Instance):
                    instance.look()

    def run_instances(
        self, image_id: str, count: int, user_data: Any, security_group_names: list[str], **kwargs: Any
    ) -> Reservation:
        """Launch instances, once for each ClientToken, of an image that there is."""
        token, wanted = kwargs.get("client_token", NO_TOKEN), (image_id, count, kwargs.get("instance_type"))
        with self.lock:
            if token != NO_TOKEN and token in self._launched:
                before, asked = self._launched[token]
                if asked != wanted:
                    raise EC2ClientError("IdempotentParameterMismatch", f"ClientToken {token} was used otherwise")
                return before
            image_id = self._resolved(image_id)
            known = self.amis.get(image_id)
            if image_id in self.deleted_amis or (known is not None and known.state != "available"):
                raise EC2ClientError("InvalidAMIID.Unavailable", f"The image ID '[{image_id}]' is no longer available")
            try:
                made = super().run_instances(image_id, count, user_data, security_group_names, **kwargs)
            except InvalidInstanceTypeError as error:
                said = f"Invalid value '{kwargs['instance_type']}' for InstanceType."
                raise EC2ClientError("InvalidParameterValue", said) from error
            except ConfigError as error:
                raise EC2ClientError("InvalidParameterValue", f"Invalid value for UserData: {error}") from error
            self._launched[token] = (made, wanted)
            return made

    def create_image(
        self, instance_id: str, name: str, description: str, tag_specifications: list[dict[str, Any]],
        *, reboot: bool = True,
    ) -> Ami:  # fmt: skip
        """Make an image of an instance's machine."""
        instance = self.get_instance(instance_id)
        if any(one.name == name for one in self.amis.values() if one.owner_id == self.account_id):
            raise EC2ClientError("InvalidAMIName.Duplicate", f"AMI name {name} is already in use")
        if not isinstance(instance, Instance) or instance.body is None or instance.body.machine is None:
            raise EC2ClientError("IncorrectState", f"Instance '{instance_id}' is not in a state of which an image is")
        own = [one for one in tag_specifications if one["ResourceType"] != "snapshot"]
        ami = super().create_image(instance_id, name, description, own)
        _as_ebs(ami)
        for one in tag_specifications:
            if one["ResourceType"] == "snapshot":
                ami.ebs_snapshot.add_tags({tag["Key"]: tag["Value"] for tag in one["Tags"]})
        self.references[ami.id] = instance.body.commit(ami.id, reboot=reboot)
        return ami

    def copy_image(
        self, source_image_id: str, source_region: str, name: str | None = None, description: str | None = None
    ) -> Ami:
        """Copy an image: another AMI with the same container image behind it, that says where it comes from."""
        ami = super().copy_image(source_image_id, source_region, name, description)
        _as_ebs(ami)
        ami.source_image_id, ami.source_image_region = source_image_id, source_region  # type: ignore[attr-defined]
        self.references[ami.id] = self.references[source_image_id]
        return ami

    def copied(self, token: str, make: Callable[[], Ami]) -> Ami:
        """Copy an image once for each ClientToken; an empty one is none."""
        with self.lock:
            if token and token in self._copied:
                return self._copied[token]
            made = make()
            if token:
                self._copied[token] = made
            return made

    def deregister_image(self, ami_id: str) -> None:
        """Deregister an image; what is behind it goes with the last AMI that has it, and with the last machine."""
        super().deregister_image(ami_id)
        reference = self.references.pop(ami_id, "")
        ours = all(one.reference != reference for one in self.published)
        if reference and ours and reference not in self.references.values():
            self.yard.forget(reference)

    def _resolved(self, image_id: str) -> str:
        """Return the image that a parameter names (`resolve:ssm:NAME`)."""
        if not (image_id or "").startswith(RESOLVE):
            return image_id
        name = image_id.removeprefix(RESOLVE)
        parameter = ssm_backends[self.account_id][self.region_name].get_parameter(name)
        if parameter is None:
            raise InvalidAMIIdError([image_id])
        return str(parameter.value)


def _as_ebs(ami: Ami) -> None:
    ami.root_device_type, ami.root_device_name, ami.virtualization_type = "ebs", "/dev/xvda", "hvm"
    ami.hypervisor = "xen"
