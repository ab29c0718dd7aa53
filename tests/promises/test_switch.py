"""The switch, as kubelet mounts a ConfigMap: a fleet is held, taken back or let go without a restart."""

from pathlib import Path

from tests.promises.agents import EVENTS, INSTANCE, annotations, cordoned, ours, tended
from tests.promises.moving import Pods, asked


class Volume:
    """A mounted ConfigMap: a directory whose files lead through a link that is swapped."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0
        self.put("")
        (folder / "switch.yaml").symlink_to("..data/switch.yaml")

    def put(self, text: str) -> None:
        self.count += 1
        version = self.folder / f"..{self.count}"
        version.mkdir()
        (version / "switch.yaml").write_text(text)
        link = self.folder / "..new"
        link.symlink_to(version.name)
        link.replace(self.folder / "..data")

    @property
    def file(self) -> str:
        return str(self.folder / "switch.yaml")


def test_cordons_are_held_taken_back_and_let_go_while_an_event_lasts(plane, tmp_path):
    volume = Volume(tmp_path)
    with tended(plane, switch_file=volume.file) as scene:
        scene.wait_labelled()
        event = scene.event("Reboot")
        scene.wait_cordoned()
        volume.put("cordon: hold")
        scene.agent.wait_said("switch.changed")
        scene.over(event)
        scene.long_enough()
        assert cordoned(scene.get())  # nothing is undone
        volume.put("cordon: on")
        scene.wait_released()
        volume.put("cordon: hold")
        scene.agent.wait_said("switch.changed", times=3)
        second = scene.event("Reboot")
        scene.wait_for(lambda node: EVENTS in annotations(node), "the mark")
        assert not cordoned(scene.get())  # nothing is begun
        volume.put("cordon: on")
        scene.wait_cordoned()
        volume.put("cordon: release")
        scene.wait_for(lambda node: not cordoned(node) and EVENTS in annotations(node), "given back, still told")
        scene.over(second)
        scene.wait_withdrawn()


def test_a_drain_on_hold_asks_nobody_and_goes_on_when_it_is_let(whole_drain_plane, tmp_path):
    volume = Volume(tmp_path)
    volume.put("drain: hold")
    settings = {"policy": "{Terminate: drain}", "drain_before": "1h", "drain_unmanaged": "evict", "drain_budget": "off"}
    with tended(whole_drain_plane, switch_file=volume.file, **settings) as scene:
        pods = Pods(whole_drain_plane, scene.node.name)
        pods.add(2)
        event = scene.event("Terminate", NotBeforeSeconds=900)
        scene.wait_cordoned()
        scene.polled(8)
        assert (asked(scene), len(pods.staying())) == ([], 2)
        volume.put("drain: on")
        scene.agent.wait_said("drain.finished")
        assert len(asked(scene)) == 2
        scene.over(event)
        scene.wait_released()
        pods.close()


def test_withdraw_takes_everything_off_and_on_puts_it_back(plane, tmp_path):
    volume = Volume(tmp_path)
    with tended(plane, switch_file=volume.file) as scene:
        scene.wait_labelled()
        scene.event("Reboot")
        scene.wait_cordoned()
        volume.put("withdraw: true")
        scene.wait_for(lambda node: not cordoned(node) and set(ours(node)) == {EVENTS}, "only what is told is left")
        volume.put("labels: on")
        scene.wait_cordoned()
        scene.wait_for(lambda node: INSTANCE in annotations(node), "labelled again")


def test_a_broken_file_changes_nothing_and_is_said_once(plane, tmp_path):
    volume = Volume(tmp_path)
    with tended(plane, switch_file=volume.file) as scene:
        scene.wait_labelled()
        volume.put("cordon: off")
        said = scene.agent.wait_said("switch.unreadable")
        assert "hold" in said["error"]
        event = scene.event("Reboot")
        scene.wait_cordoned()
        scene.polled(10)
        assert len(scene.agent.said("switch.unreadable")) == 1
        scene.over(event)
        scene.wait_released()
