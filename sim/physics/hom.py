"""Two-photon interference visibility V = <|<psi_A|psi_B>|^2> in closed form.

Rates called linewidth_rad_s are energy decay rates Gamma = 2 gamma of an exponential wavepacket. Sources: B. Kambs,
C. Becher, New J. Phys. 20, 115003 (2018), for remote emitters; J. Bylander et al., Eur. Phys. J. D 22, 295 (2003),
for dephasing; derivations in tests/physics/README.md.
"""

import math


def two_exponentials(linewidth_a_rad_s: float, linewidth_b_rad_s: float, detuning_rad_s: float = 0.0,
                     delay_s: float = 0.0) -> float:
    """Return V = 4 Ga Gb/[(Ga + Gb)^2 + 4 delta^2] e^(-G delay).

    delay_s > 0: photon b comes later, and G is photon a's; else b's. Only the tail of the earlier photon overlaps
    with the later one.
    """
    total = linewidth_a_rad_s + linewidth_b_rad_s
    earlier = linewidth_a_rad_s if delay_s >= 0 else linewidth_b_rad_s
    aligned = 4 * linewidth_a_rad_s * linewidth_b_rad_s / (total**2 + 4 * detuning_rad_s**2)
    return aligned * math.exp(-earlier * abs(delay_s))


def gaussian_detuning(linewidth_rad_s: float, sigma_rad_s: float) -> float:
    """Return V of equal exponentials with Gaussian relative detuning of rms s: sqrt(pi/2)(G/s) erfcx(G/(sqrt2 s))."""
    if sigma_rad_s == 0:
        return 1.0
    from scipy.special import erfcx

    ratio = linewidth_rad_s / sigma_rad_s
    return math.sqrt(math.pi / 2) * ratio * float(erfcx(ratio / math.sqrt(2)))


def emission_jitter(linewidth_rad_s: float, sigma_s: float) -> float:
    """Return V of equal exponentials whose starts jitter by rms sigma_s at each node: erfcx(G sigma)."""
    from scipy.special import erfcx

    return float(erfcx(linewidth_rad_s * sigma_s))


def pure_dephasing(linewidth_rad_s: float, dephasing_rad_s: float) -> float:
    """Return V = G/(G + 2 gamma*) of equal exponentials whose emitters' coherence decays as e^(-gamma* t) besides."""
    return linewidth_rad_s / (linewidth_rad_s + 2 * dephasing_rad_s)


def coincidence_probability(visibility: float) -> float:
    """Return the probability that two photons of one polarisation leave a balanced beam splitter on both sides."""
    return (1 - visibility) / 2
