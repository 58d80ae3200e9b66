"""The calibration graph of the lab: one node for each experiment that sets beliefs, or that watches over the result.

A node names what must be right before it can be measured. Time-outs say how long a calibration is trusted, tolerances
by how much a belief may be off before the link notices. In their names {n} stands for each node, {end} for the way from
each end of a link to its station, {s} for that station, {link} for its pairs, {m} for a memory.

Where dependencies leave a choice, the table's order holds: what drifts fastest comes last. The cavities move by
0.5 MHz in a quarter of an hour, and their difference makes the photons distinguishable: 0.0075 of fidelity per MHz^2.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace

from artiq.language.scan import RangeScan

from atomlink.at_port import belief
from atomlink.memory_spec import of_memory
from atomlink.topology import LinkSpec, Topology
from experiments.calibration.graph import Node

MINUTE, HOUR = 60.0, 3600.0

# Measured once for each link of the lab; all others once for the lab, with every node of it.
OF_A_LINK = frozenset(
    ("cavity", "excitation", "fibre_delay", "polarisation", "phase_walk", "pair_phase", "remote_entanglement")
)
# What only some schemes need; of a lab's links and atoms, those of other schemes have no such node.
NEEDED_BY = {"polarisation": "polarisation", "phase_walk": "one_photon", "transfer_rate": "one_photon"}

_TEMPLATES: tuple[Node, ...] = (
    Node(
        "imaging",
        "atoms.imaging_histogram:ImagingHistogram",
        timeout_s=6 * HOUR,
        check={"shots": 100, "repeats": 1},
        measure={"shots": 100, "repeats": 3},
        tolerances={"param.{n}.image_threshold": 8.0},
    ),
    Node(
        "pumping",
        "atoms.optical_pumping:OpticalPumping",
        depends=("imaging",),
        timeout_s=2 * HOUR,
        check={"t_pump": RangeScan(0.4e-6, 6.4e-6, 7), "shots": 80},
        measure={"t_pump": RangeScan(0.4e-6, 7.4e-6, 8), "shots": 200},
        tolerances={"param.{n}.t_pump_s": 0.6e-6},
    ),
    Node(
        "microwave",
        "atoms.microwave_rabi:MicrowaveRabi",
        depends=("pumping",),
        timeout_s=6 * HOUR,
        check={"t_mw": RangeScan(0.0, 30e-6, 13), "shots": 40},
        measure={"t_mw": RangeScan(0.0, 40e-6, 21), "shots": 40},
        tolerances={"param.{n}.t_mw_pi_s": 0.3e-6},
    ),
    Node(
        "larmor",
        "atoms.ramsey:Ramsey",
        depends=("microwave",),
        timeout_s=HOUR,
        check={"t_wait": RangeScan(5e-6, 125e-6, 25), "shots": 20},
        measure={"t_wait": RangeScan(5e-6, 245e-6, 49), "shots": 20},
        tolerances={"param.{n}.f_larmor_hz": 1000.0},
    ),
    Node(
        "raman",
        "atoms.raman_rabi:RamanRabi",
        depends=("larmor",),
        timeout_s=3 * HOUR,
        check={"t_raman": RangeScan(0.0, 6e-6, 13), "shots": 25},
        measure={"t_raman": RangeScan(0.0, 8e-6, 21), "shots": 50},
        tolerances={"param.{n}.t_raman_pi_s": 0.1e-6},
    ),
    Node(
        "polarisation",
        "setup.polarisation_alignment:PolarisationAlignment",
        depends=("microwave",),
        timeout_s=2 * HOUR,
        check={"shots": 50},
        measure={"shots": 160},
        # what the retarders leave of the pairs' phase is taken out after them
        tolerances={"param.{n}.v_paddle_turn_v": 0.8,
                    "param.{n}.v_paddle_phase_v": 4.0},
    ),
    Node(
        "cavity",
        "setup.cavity_scan:CavityScan",
        depends=("pumping",),
        timeout_s=20 * MINUTE,  # checked in seconds
        check={"shots": 5000},
        measure={"shots": 25_000},
        tolerances={"param.{n}.v_piezo_v": 1.0},
    ),
    Node(
        "excitation",
        "photons.emission_efficiency:EmissionEfficiency",
        depends=("cavity",),
        timeout_s=HOUR,
        check={"shots": 4000},
        measure={"shots": 16_000},
        tolerances={"param.{n}.a_excitation": 0.1},
    ),
    Node(
        "fibre_delay",
        "setup.fibre_delay:FibreDelay",
        depends=("excitation",),
        timeout_s=24 * HOUR,
        check={"shots": 2000},
        measure={"shots": 5000},
        tolerances={"param.{end}.t_photon_s": 5e-9},
    ),
    Node(
        "transfer_rate",
        "atoms.transfer_rate:TransferRate",
        depends=("pumping",),  # and by its place in the table after the cavity, whose detuning changes it
        timeout_s=HOUR,
        check={"amplitude": RangeScan(0.0, 1.0, 6), "shots": 60},
        measure={"shots": 120},
        tolerances={"param.{n}.transfer_rate": 0.8},  # a fifth of the bright fraction: rate for fidelity
    ),
    Node(
        "phase_walk",
        "link.phase_walk:PhaseWalk",
        timeout_s=HOUR,
        check={"shots": 50},
        measure={"shots": 200},
        tolerances={"param.{s}.phase_walk_rad2_s": 4.0},  # 0.01 of fidelity where a reading is 5 ms old
    ),
    Node(
        "pair_phase",
        "link.pair_phase:PairPhase",
        depends=("polarisation", "raman", "fibre_delay", "transfer_rate"),
        timeout_s=HOUR,
        checked=False,  # 0.2 rad, which a shorter version would let pass, cost 0.01 of fidelity
        measure={"shots": 300},
        tolerances={"param.{link}.phase_rad": 0.12},
    ),
    Node(
        "remote_entanglement",
        "link.remote_entanglement:RemoteEntanglement",
        depends=("pair_phase", "phase_walk"),
        timeout_s=1 * MINUTE,  # so that whoever asks for it gets pairs to see
        check={"n_pairs": 200, "settings": "bell (XX YY ZZ)"},
        measure={"n_pairs": 1000, "settings": "bell (XX YY ZZ)"},
        limits={"fidelity": (0.85, 1.01), "rate_attempting_hz": (400.0, 2000.0)},
    ),
)


# Once for each memory of the lab; its beliefs are told by {m}.
_OF_A_MEMORY: tuple[Node, ...] = (
    Node(
        "control_detuning",
        "memory.control_detuning:ControlDetuning",
        depends=("pumping",),
        timeout_s=6 * HOUR,
        check={"f_control": RangeScan(76e6, 84e6, 7), "shots": 1500},
        measure={"f_control": RangeScan(75e6, 85e6, 11), "shots": 2000},
        tolerances={"param.{m}.f_control_hz": 0.5e6},
    ),
    Node(
        "control_delay",
        "memory.control_delay:ControlDelay",
        depends=("control_detuning",),
        timeout_s=6 * HOUR,
        check={"t_off": RangeScan(0.15e-6, 0.75e-6, 7), "shots": 1500},
        measure={"t_off": RangeScan(0.15e-6, 0.85e-6, 11), "shots": 2000},
        tolerances={"param.{m}.t_control_off_s": 0.1e-6},
    ),
    Node(
        "storage_time",
        "memory.storage_time:StorageTime",
        depends=("control_delay",),
        timeout_s=6 * HOUR,
        check={"t_storage": RangeScan(2e-6, 302e-6, 5), "shots": 1500},
        measure={"t_storage": RangeScan(2e-6, 302e-6, 7), "shots": 3000},
        tolerances={"param.{m}.memory_efficiency": 0.15, "param.{m}.t_spin_wave_s": 60e-6},
    ),
)


def nodes_of(lab: Topology) -> tuple[Node, ...]:
    """Return the calibration nodes of a lab; where it has several links or memories, those of one are named after it,
    too.
    """
    found = [node for template in _TEMPLATES for node in _expanded(template, lab)]
    several, ours = len(lab.memories) > 1, {template.name for template in _OF_A_MEMORY}
    for memory in lab.memories:
        for template in _OF_A_MEMORY:
            tolerances = {of_memory(memory.name, _key(name)): size for name, size in template.tolerances.items()}
            node = _one(template, ours, "memory", memory.name if several else "")
            found.append(replace(node, tolerances=tolerances, covers=(memory.name, memory.port)))
    return tuple(found)


def _expanded(template: Node, lab: Topology) -> Iterator[Node]:
    links = [link for link in lab.links if _needed(template.name, link, lab)]
    if template.name not in OF_A_LINK:
        of_links = {atom for link in links for atom in link.atoms}
        atoms = tuple(atom for atom in lab.atoms if template.name not in NEEDED_BY or atom in of_links)
        if atoms:
            yield replace(template, tolerances=_tolerances(template, atoms, None), covers=tuple(sorted(atoms)))
        return
    several = len(lab.links) > 1
    for link in links:
        suffix = f"{'_'.join(link.ends)}_{link.station}".replace(".", "_")
        needed = replace(template, depends=tuple(name for name in template.depends if _needed(name, link, lab)))
        node = _one(needed, OF_A_LINK, "link", link.name if several else "", suffix)
        yield replace(node, tolerances=_tolerances(template, link.atoms, link), covers=(link.name,))


def _needed(name: str, link: LinkSpec, lab: Topology) -> bool:
    """Return whether a link's scheme needs a node."""
    scheme = lab.station(link.station).scheme
    return NEEDED_BY.get(name, scheme) == scheme


def _one(template: Node, ours: Collection[str], argument: str, value: str, suffix: str = "") -> Node:
    """Return a template's node for one of several links or memories, `argument=value`: its name and those that it
    depends on among `ours` end in `suffix`, by default the value. Without a value: for the only one.
    """
    ending = f"_{suffix or value}" if value else ""
    given = {argument: value} if value else {}
    return replace(
        template,
        name=template.name + ending,
        kind=template.name,
        depends=tuple(name + ending if name in ours else name for name in template.depends),
        check={**template.check, **given},
        measure={**template.measure, **given},
    )


def _key(name: str) -> str:
    """Return the last part of a belief's name."""
    return name.rpartition(".")[2]


def _tolerances(template: Node, atoms: tuple[str, ...], link: LinkSpec | None) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, tolerance in template.tolerances.items():
        key = _key(name)
        if "{n}" in name:
            found |= {belief(atom, key): tolerance for atom in atoms}
        elif link is not None and "{end}" in name:
            found |= {link.of_channel(end, key): tolerance for end in range(2)}
        elif link is not None and "{s}" in name:
            found[link.of_station(key)] = tolerance
        elif link is not None:
            found[link.of_pairs(key)] = tolerance
    return found
