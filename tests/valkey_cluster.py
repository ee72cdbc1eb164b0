"""A Valkey Cluster of this machine's own: three primaries and a replica of each, which tests kill and stop.

For scripts, too: `with ValkeyCluster(folder) as cluster:` and `cluster.url` is a REDIS_URL. All nodes end with the
process that started them, however it ends.
"""

import contextlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from redis import Redis
from redis.exceptions import RedisError

from app.embedded.binaries import valkey_binary

SLOTS = 16_384
# Seconds. A machine whose cores others use needs its time.
PATIENCE = 60.0
# Below the ports that systems give to outgoing connections: a node that is dead for a while finds its own free again.
PORTS = range(10_000, 32_000)

# Kills the nodes when its input ends, which it does when their owner dies. A line is +PID or -PID.
GUARD = """
import os, signal, sys
pids = set()
for line in sys.stdin:
    (pids.add if line[0] == '+' else pids.discard)(int(line[1:]))
for pid in pids:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""


def holds(condition: Callable[[], bool], what: str) -> None:
    """Wait until it holds. Fails after PATIENCE."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.02)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on at this moment."""
    found: list[int] = []
    while len(found) < count:
        port = random.choice(PORTS)
        with contextlib.suppress(OSError), socket.socket() as tried:
            tried.bind(("127.0.0.1", port))
            if port not in found:
                found.append(port)
    return found


class Node:
    """One process of the cluster."""

    def __init__(self, folder: Path, port: int, bus_port: int, options: tuple[str, ...]) -> None:
        self.port = port
        self.folder = folder
        self.id = ""
        self.process: subprocess.Popen[bytes] | None = None
        self._command = [
            *(str(valkey_binary()), "--port", str(port), "--cluster-port", str(bus_port)),
            *("--bind", "127.0.0.1", "--cluster-enabled", "yes", "--dir", str(folder)),
            *("--save", "", "--appendonly", "no", "--daemonize", "no", "--logfile", "log"),
            # A replica comes up as soon as it is told to; by default it waits 5 s for others.
            *("--repl-diskless-sync-delay", "0", "--maxmemory", "64mb"),
            *options,
        ]
        # Kept open: connecting for each question would take longer than the question.
        self.redis = Redis(port=port, socket_timeout=5, decode_responses=True)

    @property
    def address(self) -> tuple[str, int]:
        """Where clients reach it."""
        return "127.0.0.1", self.port

    @property
    def alive(self) -> bool:
        """Whether its process is there; a stopped one is."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start the process; it comes back as who it was, without its data."""
        self.folder.mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def answers(self) -> bool:
        """Whether it answers a PING."""
        with contextlib.suppress(RedisError, OSError):
            return bool(self.redis.ping())
        return False

    def ask(self, *command: object) -> Any:
        """The answer to a command."""
        return self.redis.execute_command(*command)  # type: ignore[no-untyped-call]  # it has no types

    def info(self, section: str) -> dict[str, Any]:
        """What it says about itself."""
        found: dict[str, Any] = self.redis.info(section)
        return found

    def kill(self) -> None:
        """End it as a crash would, and leave it dead."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.redis.close()

    def pause(self) -> None:
        """SIGSTOP: it is there and answers nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        if self.alive:
            assert self.process is not None
            self.process.send_signal(signal.SIGCONT)


class ValkeyCluster:
    """Primaries with one replica each. `start` takes some three seconds, two of which are Valkey's own caution."""

    def __init__(
        self, folder: Path, *, primaries: int = 3, node_timeout: float = 2.0, options: tuple[str, ...] = ()
    ) -> None:
        self.folder = folder
        self.nodes: list[Node] = []
        self._primaries = primaries
        self._options = ("--cluster-node-timeout", str(round(node_timeout * 1000)), *options)
        self._guard: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """A REDIS_URL that names two nodes."""
        return f"redis+cluster://127.0.0.1:{self.nodes[0].port},127.0.0.1:{self.nodes[-1].port}"

    def start(self) -> None:
        """Start all nodes and make a cluster of them."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._guard = subprocess.Popen([sys.executable, "-I", "-S", "-c", GUARD], stdin=subprocess.PIPE)
        count = 2 * self._primaries
        try:
            while not self._started(count):
                # Somebody else took a port in between.
                self._end_nodes()
            self._join()
            self.healthy()
        except BaseException:
            self.stop()
            raise

    def _started(self, count: int) -> bool:
        ports = free_ports(2 * count)
        self.nodes = [
            Node(self.folder / f"node{n}", ports[2 * n], ports[2 * n + 1], self._options)
            for n in range(count)
        ]
        for node in self.nodes:
            self._start_node(node)
        holds(lambda: all(not node.alive or node.answers() for node in self.nodes), "nodes answer")
        return all(node.alive for node in self.nodes)

    def _join(self) -> None:
        first = self.nodes[0]
        primaries, replicas = self.nodes[: self._primaries], self.nodes[self._primaries :]
        for number, node in enumerate(primaries):
            begin, end = (SLOTS * n // self._primaries for n in (number, number + 1))
            node.ask("CLUSTER", "ADDSLOTSRANGE", begin, end - 1)
            # Each its own, so that nobody has to find out who is right.
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes:
            node.id = node.ask("CLUSTER", "MYID")
            # Everybody to everybody: gossip would take its time.
            for other in self.nodes:
                if other is not node:
                    port, bus_port = other.port, other._command[other._command.index("--cluster-port") + 1]
                    node.ask("CLUSTER", "MEET", "127.0.0.1", port, bus_port)
        holds(lambda: all(self._knows_all(node) for node in self.nodes), f"all know all: {first.folder}")
        for node, primary in zip(replicas, primaries, strict=True):
            node.ask("CLUSTER", "REPLICATE", primary.id)

    def _knows_all(self, node: Node) -> bool:
        known = node.ask("CLUSTER", "NODES")
        return all(other.id in str(known) for other in self.nodes)

    def stop(self) -> None:
        """End everything and remove its files; doing it twice is harmless."""
        self._end_nodes()
        if self._guard is not None:
            assert self._guard.stdin is not None
            self._guard.stdin.close()
            self._guard.wait()
            self._guard = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end_nodes(self) -> None:
        for node in self.nodes:
            self.kill(node)
            shutil.rmtree(node.folder, ignore_errors=True)
        self.nodes = []

    def _start_node(self, node: Node) -> None:
        node.start()
        self._tell_guard("+", node)

    def _tell_guard(self, sign: str, node: Node) -> None:
        if self._guard is not None and node.process is not None:
            assert self._guard.stdin is not None
            self._guard.stdin.write(f"{sign}{node.process.pid}\n".encode())
            self._guard.stdin.flush()

    def kill(self, node: Node) -> None:
        """Kill -9 a node; it stays dead until `restart` or `heal`."""
        node.kill()
        self._tell_guard("-", node)

    def restart(self, *nodes: Node) -> None:
        """Kill these nodes (all, when none is named) at once and start them again. What they held is gone."""
        for node in nodes or self.nodes:
            self.kill(node)
        for node in nodes or self.nodes:
            self._start_node(node)

    def revive(self) -> None:
        """Start the dead again and let the stopped go on."""
        for node in self.nodes:
            if node.alive:
                node.resume()
            else:
                self._start_node(node)

    def heal(self) -> None:
        """Whatever was done to it: all nodes run and each primary has its replica. Takes some seconds."""
        self.revive()
        self.healthy()

    def healthy(self) -> None:
        """Wait until every node finds the cluster well and each primary has its replica in step."""
        holds(self._is_healthy, "the cluster is well")

    def _is_healthy(self) -> bool:
        try:
            for node in self.nodes:
                if "cluster_state:ok" not in str(node.ask("CLUSTER", "INFO")):
                    return False
            roles = [node.info("replication") for node in self.nodes]
            # All agree on who serves what.
            views = {
                tuple(sorted((low, high, port) for low, high, port in self.shards(n))) for n in self.nodes
            }
        except (RedisError, OSError):
            return False
        in_step = [role for role in roles if role.get("master_link_status") == "up"]
        leading = [role for role in roles if role["role"] == "master" and role["connected_slaves"]]
        return len(in_step) == len(leading) == self._primaries and len(views) == 1

    def shards(self, node: Node) -> list[tuple[int, int, int]]:
        """First slot, last slot and port of the primary, as one node sees them."""
        return [(low, high, primary[1]) for low, high, primary, *_ in node.ask("CLUSTER", "SLOTS")]

    def _views(self) -> Iterator[list[tuple[int, int, int]]]:
        for node in self.nodes:
            if node.alive:
                with contextlib.suppress(RedisError, OSError):
                    yield self.shards(node)

    def primary_of(self, slot: int) -> Node:
        """Who serves a slot, as some node that answers sees it."""
        for view in self._views():
            for low, high, port in view:
                if low <= slot <= high:
                    return next(node for node in self.nodes if node.port == port)
        raise AssertionError(f"nobody serves slot {slot}")

    def primaries(self) -> list[Node]:
        """The nodes that serve slots, as some node that answers sees them."""
        ports = {port for _, _, port in next(self._views())}
        return [node for node in self.nodes if node.port in ports]

    def failed_over(self, slot: int, dead: Node) -> None:
        """Wait until another node than the dead one serves a slot."""
        holds(lambda: self._serves_other(slot, dead), "the replica takes over")

    def _serves_other(self, slot: int, dead: Node) -> bool:
        living = [node for node in self.nodes if node is not dead and node.alive]
        return all(
            port != dead.port
            for node in living
            for low, high, port in self.shards(node)
            if low <= slot <= high
        )

    def move_slot(self, slot: int, to: Node) -> None:
        """Hand a slot and its keys to another primary, as a resharding does."""
        source = self.primary_of(slot)
        if source is to:
            return
        to.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", to.id)
        while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, 100):
            source.ask("MIGRATE", "127.0.0.1", to.port, "", 0, 5000, "KEYS", *keys)
        for node in (to, source, *(node for node in self.primaries() if node not in (to, source))):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", to.id)

    def flush(self) -> None:
        """FLUSHALL on every primary."""
        for node in self.primaries():
            node.ask("FLUSHALL")
