"""What the nodes of a run do together, in parallel: initialise, load until every atom is there, cool, image, close.

load  |empty nodes only: coil + cooling|image all| until all are there or the tries are used up

Kernels loop over the list `nodes` and begin each node at the same time (drivers/rtio/together.py).
"""

from collections.abc import Sequence
from typing import Any

from artiq.language.core import delay, kernel, now_mu
from artiq.language.environment import EnumerationValue, HasEnvironment, StringValue
from artiq.language.types import TBool, TInt64
from artiq.language.units import ms, us
from numpy import int64

from atomlink.at_port import node_of
from atomlink.errors import UsageError, brief
from atomlink.topology import LinkSpec
from drivers.fibre_routes import SETTLE_S, FibreRoutes
from drivers.network import topology
from drivers.rtio.node import Node
from drivers.rtio.together import Together

ALL = "all"
MAX_TRIES = 200  # 0.5 per try: 200 fail with probability 1e-60; then something is broken


def ask_nodes(owner: Any) -> "Nodes":
    """Ask for the nodes of a run (argument `nodes`) and return them, a child of `owner`."""
    return Nodes(owner, ask_names(owner))


def ask_link(owner: Any, parent: Any = None) -> "Nodes":
    """Ask for the link of a run (argument `link`) and return the nodes at its ends, a child of `parent` or `owner`."""
    parent = owner if parent is None else parent
    network = topology(owner)
    text = owner.get_argument("link", StringValue(""), "Nodes", "Which link, as alice-bob@midpoint; empty: the first.")
    if text is None and not network.links:  # while arguments are examined; a run in such a lab is refused below
        return Nodes(parent, network.atoms)
    link = network.link(text or "")
    return Nodes(parent, link.atoms, link)


def ask_station(owner: Any) -> Any:
    """Ask for a station of the lab (argument `station`), the first by default, and return its specification."""
    names = [station.name for station in topology(owner).stations]
    text = owner.get_argument("station", StringValue(""), "Nodes", "Whose detectors; empty: the first station's.")
    return topology(owner).station(text or (names[0] if names else ""))


def ask_node(owner: Any, group: str, tooltip: str) -> str:
    """Ask for one node of the lab (argument `node`), the first by default, and return its name."""
    names = topology(owner).node_names
    return str(owner.get_argument("node", EnumerationValue(list(names), default=names[0]), group, tooltip) or names[0])


def ask_names(owner: Any) -> tuple[str, ...]:
    """Ask for the nodes of a run (argument `nodes`) and return their names only: for what opens instruments alone."""
    text = owner.get_argument(
        "nodes", StringValue(ALL), "Nodes", "Which nodes, separated by commas; all: every node of the lab. The atom at "
        "a further port of a node is called node.port."
    )  # fmt: skip
    return chosen(text or ALL, topology(owner).atoms)


def chosen(text: str, lab: Sequence[str]) -> tuple[str, ...]:
    """Return the nodes that a text names, of those the lab has; UsageError for one that is not there, or twice."""
    names = tuple(lab) if text.strip() == ALL else tuple(name.strip() for name in text.split(","))
    unknown = [name for name in names if name not in lab]
    if unknown or len(set(names)) < len(names):
        wrong = f"no node {brief(unknown[0])}" if unknown else "a node twice"
        said = f"Argument nodes={brief(text)} has {wrong}"
        raise UsageError(f"{said}, must name some of {', '.join(lab)}, or be {ALL!r}.")
    return names


class Nodes(HasEnvironment):
    """The atoms of a run, in the order of `names`, one at each node or several, and what the last image said of them.

    `counts` and `there` have one entry per atom. `link`: where they are the two ends of one; `links`: of several, which
    have their ways at once; what of these goes through a switch `init` connects. Of several atoms of one node the first
    acts on what is the node's (`first`: its index): it is loaded, and reloaded, as a whole.
    """

    kernel_invariants = {"core", "nodes", "n", "first", "routes"}

    def build(self, names: Sequence[str], link: LinkSpec | None = None, links: Sequence[LinkSpec] = ()) -> None:
        self.core = self.get_device("core")
        self.routes = FibreRoutes(self, links or ([link] if link else []))
        self.names = tuple(names)
        self.link: Any = link
        at = [node_of(name) for name in self.names]
        self.first = [at.index(node) for node in at]
        self.nodes = [Node(self, name, self.first[i] == i) for i, name in enumerate(self.names)]
        self.n = len(self.nodes)
        self.wanting = [False] * self.n  # by the first atom of a node: whether one of the node's is missing
        self.together = Together(self)
        self.counts = [0] * self.n
        self.there = [False] * self.n  # as the last image said
        self.loads = 0
        self.t_loading_mu = int64(0)  # lab time spent loading, all nodes at a time
        self.recoolings = 0

    def __getitem__(self, name: str) -> Node:
        """Return the node of this name; on the host."""
        return self.nodes[self.names.index(name)]

    def prepare(self) -> None:
        """Read the beliefs of every node."""
        self.call_child_method("prepare")

    def run_level(self) -> dict[str, Any]:
        """Return the datasets that say what the axis of nodes means, and which link was used."""
        level = {"scan.nodes": ",".join(self.names)}
        return level | {"scan.link": self.link.name} if self.link else level

    def thresholds(self) -> list[int]:
        """Return the counts above which an atom is there, by node."""
        return [int(node.imaging.threshold) for node in self.nodes]

    def no_atom_message(self) -> str:
        """Say what loading saw, and what to do about it."""
        seen = ", ".join(f"{name} {int(counts)}" for name, counts in zip(self.names, self.counts, strict=True))
        return (
            f"Loading failed {MAX_TRIES} times: {seen} counts, must exceed "
            f"{', '.join(str(threshold) for threshold in self.thresholds())}; check cooling light, coil and shutter, "
            "or calibrate param.*.image_threshold."
        )

    @kernel
    def init(self):
        """Reset the core device, give the links their ways, and initialise every node."""
        self.core.reset()
        if self.routes.needed:
            self.connect()
        for node in self.nodes:
            node.init()
        delay(1 * ms)

    @kernel
    def connect(self):
        """Have the fibre switches lead the links' light where it must; another run may have led it elsewhere."""
        if self.routes.set():
            self.core.break_realtime()
            delay(SETTLE_S)
        self.core.break_realtime()

    @kernel
    def close(self):
        """Reset the core device and leave every node dark, shutters closed; works after an exception, too."""
        self.core.reset()
        for node in self.nodes:
            node.close()

    @kernel
    def image(self):
        """Image every node; keeps counts and presence. Uses up the slack and makes new."""
        self.together.begin()
        for node in self.nodes:
            self.together.branch()
            node.imaging.expose()
        self.together.end()
        for i in range(self.n):
            self.counts[i] = self.nodes[i].imaging.fetch()
        for i in range(self.n):
            self.there[i] = self.counts[i] > self.nodes[i].imaging.threshold
        self.core.break_realtime()

    @kernel
    def all_there(self) -> TBool:
        """Say whether the last image saw an atom at every node."""
        there = True
        for i in range(self.n):
            there = there and self.there[i]
        return there

    @kernel
    def load(self) -> TBool:
        """Load the empty nodes until every atom is there; return False if that fails."""
        tries = 0
        t_start_mu = now_mu()
        while tries < MAX_TRIES and not self.all_there():
            self.load_once()
            tries += 1
        self.t_loading_mu += now_mu() - t_start_mu
        return self.all_there()

    @kernel
    def load_once(self):
        """Try once to load each node that lacks an atom, and image all."""
        self.together.begin()
        for i in range(self.n):
            self.wanting[i] = False
        for i in range(self.n):
            if not self.there[i]:
                self.wanting[self.first[i]] = True
        for i in range(self.n):
            if self.wanting[i]:
                self.loads += 1
                self.together.branch()
                self.nodes[i].imaging.load()
        self.together.end()
        self.image()

    @kernel
    def load_all(self):
        """Try once to load every node, whatever the last image said."""
        self.together.begin()
        for node in self.nodes:
            self.together.branch()
            node.imaging.load()
        self.together.end()

    @kernel
    def load_all_mu(self, duration_mu: TInt64):
        """Try once to load every node, for `duration_mu`."""
        self.together.begin()
        for node in self.nodes:
            self.together.branch()
            node.imaging.load_mu(duration_mu)
        self.together.end()

    @kernel
    def push_out(self):
        """Remove what is in F = 2; imaging and cooling leave atoms there."""
        self.together.begin()
        for node in self.nodes:
            self.together.branch()
            node.imaging.push_out()
        self.together.end()

    @kernel
    def map_to_f2(self):
        """Map |1> of every atom to F = 2."""
        self.together.begin()
        for node in self.nodes:
            self.together.branch()
            node.qubit.map_to_f2()
        self.together.end()

    @kernel
    def recover(self):
        """Start afresh after an RTIO error: nothing pending, all off. What the nodes hold is to be imaged."""
        self.core.reset()
        for node in self.nodes:
            node.off()

    @kernel
    def cool(self):
        """Cool every atom after loading or imaging."""
        self.together.begin()
        for node in self.nodes:
            self.together.branch()
            node.imaging.cool()
        self.together.end()

    @kernel
    def recool(self):
        """Cool every atom between two blocks of attempts."""
        self.recoolings += 1
        delay(10 * us)  # heralding leaves little slack; the CPU writes the first node's edges before the last one's
        self.together.begin()
        for node in self.nodes:
            self.together.branch()
            node.imaging.recool()
        self.together.end()
