"""The calls to EC2 that moto has not, or answers with less than they say."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.core.types import Base64EncodedString
from moto.core.utils import utcnow
from moto.ec2.models.amis import Ami
from moto.ec2.responses import EC2Response
from moto.kms.models import kms_backends

from imagetest.testing.aws.instances import Instance


class Answers(EC2Response):
    """What EC2 answers."""

    def get_console_output(self) -> ActionResult:
        """Return what a machine wrote to its console."""
        instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
        said = instance.body.console() if isinstance(instance, Instance) and instance.body is not None else ""
        output = Base64EncodedString.from_raw_string(said) if said else None
        return ActionResult({"InstanceId": instance.id, "Timestamp": utcnow(), "Output": output})

    def create_image(self) -> ActionResult:
        """Make an image of an instance, which is stopped for it unless NoReboot says otherwise."""
        self.error_on_dryrun()
        made = self.ec2_backend.create_image(
            self._get_param("InstanceId"), self._get_param("Name"), self._get_param("Description", ""),
            self._get_param("TagSpecifications", []), reboot=not self._get_bool_param("NoReboot", False),  # noqa: FBT003 - moto's
        )  # fmt: skip
        return ActionResult({"ImageId": made.id})

    def copy_image(self) -> ActionResult:
        """Copy an image, once for each ClientToken."""
        self.error_on_dryrun()
        made = self.ec2_backend.copied(self._get_param("ClientToken") or "", self._copy)
        return ActionResult({"ImageId": made.id})

    def _copy(self) -> Ami:
        """Copy an image, with its tags if CopyImageTags says so."""
        source, region = self._get_param("SourceImageId"), self._get_param("SourceRegion")
        made: Ami = self.ec2_backend.copy_image(source, region, self._get_param("Name"), self._get_param("Description"))
        made.ebs_snapshot.encrypted = self._get_bool_param("Encrypted", False)  # noqa: FBT003 - moto's
        if key := self._get_param("KmsKeyId"):
            made.ebs_snapshot.kms_key_id = kms_backends[self.current_account][self.region].describe_key(key).arn
        if self._get_bool_param("CopyImageTags", False):  # noqa: FBT003 - moto's
            made.add_tags(_tags(self._elsewhere(region).amis[source]))
        for one in self._get_param("TagSpecifications", []):
            target = made if one["ResourceType"] == "image" else made.ebs_snapshot
            target.add_tags({tag["Key"]: tag["Value"] for tag in one["Tags"]})
        return made

    def deregister_image(self) -> ActionResult:
        """Deregister an image, with its snapshot if DeleteAssociatedSnapshots says so."""
        self.error_on_dryrun()
        image = self._get_param("ImageId")
        known = self.ec2_backend.amis.get(image)
        self.ec2_backend.deregister_image(image)
        results = []
        if known is not None and self._get_bool_param("DeleteAssociatedSnapshots", False):  # noqa: FBT003 - moto's
            self.ec2_backend.delete_snapshot(known.ebs_snapshot.id)
            results.append({"SnapshotId": known.ebs_snapshot.id, "ReturnCode": "success"})
        return ActionResult({"Return": True, "DeleteSnapshotResults": results})

    def enable_image_deprecation(self) -> ActionResult:
        """Note when an image is to be used no more; EC2 rounds down to the minute."""
        self.error_on_dryrun()
        image = self.ec2_backend.describe_images(ami_ids=[self._get_param("ImageId")])[0]
        when = str(self._get_param("DeprecateAt")).replace(" ", "T")
        image.deprecation_time = when[: len("2026-11-01T00:00")] + ":00.000Z"
        return ActionResult({"Return": True})

    def disable_image_deprecation(self) -> ActionResult:
        """Note that an image may be used for ever."""
        self.error_on_dryrun()
        image = self.ec2_backend.describe_images(ami_ids=[self._get_param("ImageId")])[0]
        image.deprecation_time = None
        return ActionResult({"Return": True})

    def _elsewhere(self, region: str) -> Any:
        from moto.ec2.models import ec2_backends

        return ec2_backends[self.current_account][region]


def _tags(resource: object) -> dict[str, str]:
    found = resource.get_tags()  # type: ignore[attr-defined]
    return {tag["key"]: tag["value"] for tag in found if not tag["key"].startswith("aws:")}
