"""Somebody at the command line of a node."""

from tests.cli.running import Done, imds_agent, refused


class User:
    """Somebody at the command line with a kubeconfig, a node and its VM's IMDS."""

    def __init__(self, plane, node, imds, kubeconfig) -> None:
        self.plane, self.node, self.imds = plane, node, imds
        self.base = (f"--kubeconfig={kubeconfig}", f"--node-name={node.name}")

    def arguments(self, name: str, *more: str) -> tuple[str, ...]:
        return (name, *self.base, *([f"--imds-url={self.imds.url}"] if name in ("plan", "label") else []), *more)

    def run(self, name: str, *more: str) -> str:
        done = self.process(name, *more)
        assert (done.code, done.err) == (0, ""), done
        return done.out

    def process(self, name: str, *more: str) -> Done:
        return imds_agent(*self.arguments(name, *more))

    def refused(self, name: str, *more: str) -> str:
        return refused(1, *self.arguments(name, *more))
