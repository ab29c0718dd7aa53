"""What a VM keeps of its customData, and files that are there whole or not at all."""

import base64
import os
import threading
from pathlib import Path

import pytest

from agent.clients.files import open_file, private_folder, write_whole
from agent.clients.vm_copies import ALLOWED, CLOUD_INIT, OVF, WAAGENT, read_allowed, read_copies, read_file
from agent.told import Told

OVF_DOCUMENT = """<?xml version="1.0" encoding="utf-8"?>
<ns0:Environment xmlns:ns0="http://schemas.dmtf.org/ovf/environment/1" xmlns:ns1="http://schemas.microsoft.com/windowsazure">
  <ns1:ProvisioningSection><ns1:Version>1.0</ns1:Version>
    <ns1:LinuxProvisioningConfigurationSet><ns1:HostName>h</ns1:HostName><ns1:CustomData>{}</ns1:CustomData>
  </ns1:LinuxProvisioningConfigurationSet></ns1:ProvisioningSection></ns0:Environment>"""
CODED = base64.b64encode(b"#cloud-config\n").decode()


def put(root, path, content: str | bytes) -> None:
    there = root / path
    there.parent.mkdir(parents=True, exist_ok=True)
    there.write_bytes(content if isinstance(content, bytes) else content.encode())


def test_each_copy_is_read_in_the_order_in_which_it_is_believed(tmp_path):
    put(tmp_path, WAAGENT, CODED)
    put(tmp_path, OVF, OVF_DOCUMENT.format(f"\n {CODED} \n"))
    put(tmp_path, CLOUD_INIT, "#cloud-config\n")
    found = list(read_copies(tmp_path))
    assert [each.source for each in found] == [str(tmp_path / path) for path in (WAAGENT, OVF, CLOUD_INIT)]
    assert [each.encoded for each in found] == [True, True, False]
    assert [each.content.strip() for each in found] == [CODED.encode(), CODED.encode(), b"#cloud-config"]


def test_what_is_not_there_is_said_and_no_error(tmp_path):
    put(tmp_path, CLOUD_INIT, "")
    assert [(each.content, each.note) for each in read_copies(tmp_path)] == [
        (None, "not there"),
        (None, "not there"),
        (None, "empty"),
    ]


@pytest.mark.parametrize(
    ("document", "note"),
    [
        ("<a/>", "without CustomData"),
        (OVF_DOCUMENT.format(" "), "without CustomData"),
        ("not xml", "expected XML, found something else"),
        ("", "empty"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "not looked into: it declares entities"),
        (
            '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY b "c">]><a><CustomData>&b;</CustomData></a>'.encode(
                "utf-16"
            ),
            "not looked into: it declares entities",
        ),
        ("<a><!-- <!DOCTYPE> --></a>", "without CustomData"),
    ],
)
def test_another_provisioning_document_is_said_to_be(tmp_path, document, note):
    put(tmp_path, OVF, document)
    assert [each.note for each in read_copies(tmp_path)][1] == note


def test_a_file_that_is_far_too_long_or_a_folder_is_not_read(tmp_path):
    put(tmp_path, CLOUD_INIT, b"a" * (2 * 1024 * 1024 + 1))
    (tmp_path / WAAGENT).mkdir(parents=True)
    notes = [each.note for each in read_copies(tmp_path)]
    assert notes[0].startswith("cannot be read")
    assert notes[2].startswith("more than")
    assert read_file(tmp_path / "none").note == "not there"


def test_pipes_and_devices_in_their_places_are_not_waited_for(tmp_path):
    """`first-boot` reads them as root, and with `--root` on disks that others wrote."""
    for path in (WAAGENT, CLOUD_INIT, ALLOWED):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(tmp_path / path)
    notes = [each.note for each in read_copies(tmp_path)]
    assert notes[0] == notes[2] == "cannot be read: it is no file"
    assert read_allowed(tmp_path) == ((), (f"{tmp_path / ALLOWED}: cannot be read: it is no file",))


def test_a_device_is_no_file():
    with pytest.raises(OSError, match="no file"):
        open_file(Path("/dev/zero"))


def test_a_pipe_that_a_person_names_is_read(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"#cloud-config\n",))
    writer.start()
    assert read_file(pipe).content == b"#cloud-config\n"
    writer.join()


def test_links_of_a_disk_that_is_mounted_elsewhere_lead_to_places_on_it(tmp_path):
    put(tmp_path, "var/lib/cloud/instances/i-1/user-data.txt", "#cloud-config\n")
    link = tmp_path / "var/lib/cloud/instance"
    for target in (
        "/var/lib/cloud/instances/i-1",
        "instances/../instances/i-1",
        "../../../../../var/lib/cloud/instances/i-1",
    ):
        link.symlink_to(target)  # the first is how cloud-init writes it
        assert list(read_copies(tmp_path))[2].content == b"#cloud-config\n"
        link.unlink()
    outside = tmp_path.parent / f"{tmp_path.name}-host"
    put(outside, "user-data.txt", "the host's")
    link.symlink_to(outside)
    assert list(read_copies(tmp_path))[2].note == "not there"
    link.unlink()
    link.symlink_to(link.name)
    assert list(read_copies(tmp_path))[2].note == "cannot be read: Too many levels of symbolic links"


def test_a_copy_of_roots_is_said_to_be(tmp_path):
    if os.geteuid() == 0:  # root reads everything, so ask as nobody
        put(tmp_path, CLOUD_INIT, "x")
        (tmp_path / CLOUD_INIT).chmod(0o600)
        child = os.fork()
        if child == 0:
            tmp_path.parent.chmod(0o755)
            os.setuid(65534)
            found = [each.note for each in read_copies(tmp_path)]
            os._exit(0 if "permission denied: root only" in found else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    else:
        put(tmp_path, CLOUD_INIT, "x")
        (tmp_path / CLOUD_INIT).chmod(0)
        assert [each.note for each in read_copies(tmp_path)][2] == "permission denied: root only"


def test_prefixes_count_only_if_nobody_but_root_could_have_written_them(tmp_path):
    assert read_allowed(tmp_path) == ((), ())
    put(tmp_path, ALLOWED, "example.com/\ne\n")
    path = tmp_path / ALLOWED
    path.chmod(0o644)
    found, wrong = read_allowed(tmp_path)
    if os.geteuid() == 0:
        assert found == ("example.com/",)
        assert "line 2: expected a prefix" in wrong[0]
        for mode in (0o664, 0o646):
            path.chmod(mode)
            assert read_allowed(tmp_path)[0] == ()
        path.chmod(0o644)
        os.chown(path, 65534, -1)
    found, wrong = read_allowed(tmp_path)
    assert found == ()
    assert "expected a file that only root may write" in wrong[0]
    path.write_bytes(b"\xff")
    assert read_allowed(tmp_path) == ((), (f"{path}: expected UTF-8, found something else",))
    path.unlink()
    path.mkdir()
    assert read_allowed(tmp_path) == ((), (f"{path}: cannot be read: Is a directory",))


def test_a_file_is_whole_and_its_owners_alone(tmp_path):
    path = tmp_path / "a"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert (path.read_bytes(), path.stat().st_mode & 0o777, [each.name for each in tmp_path.iterdir()]) == (
        b"two",
        0o600,
        ["a"],
    )
    with pytest.raises(Told, match="cannot be written"):
        write_whole(tmp_path / "none" / "a", b"x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(Told, match="cannot be written"):
        write_whole(tmp_path / "folder", b"x")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a", "folder"]


def test_a_folder_is_made_for_its_owner_alone_and_must_be_empty(tmp_path):
    private_folder(tmp_path / "new" / "er")
    assert (tmp_path / "new" / "er").stat().st_mode & 0o777 == 0o700
    (tmp_path / "new").chmod(0o755)
    with pytest.raises(Told, match="expected an empty folder, found 'er' in it"):
        private_folder(tmp_path / "new")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o755
    (tmp_path / "new" / "er").chmod(0o777)
    private_folder(tmp_path / "new" / "er")
    assert (tmp_path / "new" / "er").stat().st_mode & 0o777 == 0o700
    (tmp_path / "file").write_text("")
    with pytest.raises(Told, match="expected a folder"):
        private_folder(tmp_path / "file")
