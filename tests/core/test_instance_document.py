"""What other programs may read of an instance."""

import json

from agent.core.instance import OsProfile, PublicKey, Tag
from agent.core.instance_document import instance_document
from tests.core.builders import instance


def test_all_facts_are_there_but_what_must_not_be_shown():
    secret = "hunter2"
    found = instance_document(
        instance(
            user_data=secret,
            custom_data=secret,
            public_keys=(PublicKey(path="p", data=secret),),
            os_profile=OsProfile(admin_username=secret, computer_name="web"),
            tags=(Tag("Env", "prod"),),
        )
    )
    assert secret not in json.dumps(found)
    assert found.keys().isdisjoint({"user_data", "custom_data", "public_keys"})
    assert found["os_profile"] == {"computer_name": "web", "disable_password_authentication": None}
    assert found["tags"] == {"Env": "prod"}
    assert found["placement"]["zone"] == "1"
