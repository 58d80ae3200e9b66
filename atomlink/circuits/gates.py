"""The gates of qelib1.inc and stdgates.inc, written in the native ones (u, cp, rzz).

Each is equal to its standard definition up to a global phase, but keeps ZZ and controlled phases whole, and writes
Toffoli's diagonal part with controlled phases: five two-qubit gates instead of six.
Source: OpenQASM 2 (arXiv 1707.03429) and 3 (arXiv 2104.14722); tests compare every one with Qiskit's matrices.
"""

PRELUDE = """
gate U(a,b,c) q { u(a,b,c) q; }
gate u3(a,b,c) q { u(a,b,c) q; }
gate u2(b,c) q { u(pi/2,b,c) q; }
gate u1(a) q { u(0,0,a) q; }
gate u0(a) q { }
gate p(a) q { u(0,0,a) q; }
gate phase(a) q { u(0,0,a) q; }
gate id q { }
gate x q { u(pi,0,pi) q; }
gate y q { u(pi,pi/2,pi/2) q; }
gate z q { u(0,0,pi) q; }
gate h q { u(pi/2,0,pi) q; }
gate s q { u(0,0,pi/2) q; }
gate sdg q { u(0,0,-pi/2) q; }
gate t q { u(0,0,pi/4) q; }
gate tdg q { u(0,0,-pi/4) q; }
gate sx q { u(pi/2,-pi/2,pi/2) q; }
gate sxdg q { u(pi/2,pi/2,-pi/2) q; }
gate rx(a) q { u(a,-pi/2,pi/2) q; }
gate ry(a) q { u(a,0,0) q; }
gate rz(a) q { u(0,0,a) q; }
gate r(a,b) q { u(a,b-pi/2,pi/2-b) q; }
gate cphase(a) c,q { cp(a) c,q; }
gate cu1(a) c,q { cp(a) c,q; }
gate cz c,q { cp(pi) c,q; }
gate cs c,q { cp(pi/2) c,q; }
gate csdg c,q { cp(-pi/2) c,q; }
gate cx c,q { h q; cp(pi) c,q; h q; }
gate CX c,q { cx c,q; }
gate cnot c,q { cx c,q; }
gate cy c,q { sdg q; cx c,q; s q; }
gate ch c,q { ry(-pi/4) q; cp(pi) c,q; ry(pi/4) q; }
gate csx c,q { h q; cp(pi/2) c,q; h q; }
gate crz(a) c,q { rz(a/2) q; rzz(-a/2) c,q; }
gate crx(a) c,q { h q; crz(a) c,q; h q; }
gate cry(a) c,q { sx q; crz(a) c,q; sxdg q; }
gate cu3(a,b,d) c,q { p((d+b)/2) c; p((d-b)/2) q; cx c,q; u(-a/2,0,-(b+d)/2) q; cx c,q; u(a/2,b,0) q; }
gate cu(a,b,d,e) c,q { p(e) c; cu3(a,b,d) c,q; }
gate rxx(t) a,b { h a; h b; rzz(t) a,b; h a; h b; }
gate ryy(t) a,b { sx a; sx b; rzz(t) a,b; sxdg a; sxdg b; }
gate rzx(t) a,b { h b; rzz(t) a,b; h b; }
gate ecr a,b { rzx(pi/2) a,b; x a; }
gate swap a,b { cx a,b; cx b,a; cx a,b; }
gate iswap a,b { s a; s b; h a; cx a,b; cx b,a; h b; }
gate dcx a,b { cx a,b; cx b,a; }
gate ccz a,b,c { cp(pi/2) b,c; cx a,b; cp(-pi/2) b,c; cx a,b; cp(pi/2) a,c; }
gate ccx a,b,c { h c; ccz a,b,c; h c; }
gate cswap a,b,c { cx c,b; ccx a,b,c; cx c,b; }
gate rccx a,b,c { u(pi/2,0,pi) c; t c; cx b,c; tdg c; cx a,c; t c; cx b,c; tdg c; u(pi/2,0,pi) c; }
gate c3z a,b,c,d { cp(pi/4) a,d; cx a,b; cp(-pi/4) b,d; cx a,b; cp(pi/4) b,d; cx b,c; cp(-pi/4) c,d;
  cx a,c; cp(pi/4) c,d; cx b,c; cp(-pi/4) c,d; cx a,c; cp(pi/4) c,d; }
gate c3x a,b,c,d { h d; c3z a,b,c,d; h d; }
"""

CONTROLLED = {"x": "cx", "y": "cy", "z": "cz", "h": "ch", "p": "cp", "phase": "cp", "u1": "cp", "rx": "crx",
              "ry": "cry", "rz": "crz", "s": "cs", "sdg": "csdg", "sx": "csx", "cx": "ccx", "cz": "ccz",
              "swap": "cswap", "ccx": "c3x", "U": "cu3", "u3": "cu3"}  # fmt: skip
"""What `ctrl @ g` is called where it has a name."""
