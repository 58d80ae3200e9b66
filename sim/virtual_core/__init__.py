"""The virtual core device: the compiled binary that ARTIQ uploads, executed against the simulated lab.

Stock `artiq_run` compiles a kernel with the real compiler and sends the library over the core device's own protocol
(`session`, `server`); it is loaded (`elf`) into the memory of an emulated processor (`cpu`), and its system calls
(`services`, `rpc`, `exceptions`) land on the same RTIO bus that the host engine uses. `sim.rtio` knows nothing of this.
The device's other ports (`management`, `analyzer`, `moninj`) look at bus and gateware in between (`turns`).
The emulator is Unicorn (GPLv2), an extra of its own: only `cpu` imports it, and only when a kernel is loaded.
Facts about binary interface and protocol: ARTIQ 8's compiler and firmware, as measured on its output.
"""
