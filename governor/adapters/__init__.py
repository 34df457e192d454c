"""Every wire out except stores: one file each, behind a port of governor/ports.py."""
