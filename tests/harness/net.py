# SPDX-License-Identifier: Apache-2.0
"""A network namespace that holds nothing but loopback: no DNS, no way out; and a mount namespace with our own /etc/hosts."""
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys

SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
IFF_UP = 1


def _loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        req = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(s, SIOCGIFFLAGS, req))[1]
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def isolate():
    """Re-runs this program inside its own network namespace, where the kernel lets us make one."""
    if os.environ.get("KT_TEST_ISOLATED") == "1":
        _loopback_up()
        return
    if os.environ.get("KT_TEST_ISOLATED") == "0" or not shutil.which("unshare"):
        return
    probe = subprocess.run(["unshare", "-rnm", "true"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if probe.returncode != 0:
        print("note: no network namespace can be made here; running in the host's", flush=True)
        return
    os.environ["KT_TEST_ISOLATED"] = "1"
    os.execvp("unshare", ["unshare", "-rnm", sys.executable] + sys.argv)


def map_hosts(names, folder, address="127.0.0.1"):
    """Inside of isolate(): these names are at `address`, for every program that this one starts."""
    if os.environ.get("KT_TEST_ISOLATED") != "1":
        raise AssertionError("a test with an origin of its own needs namespaces (unshare -rnm), which this machine forbids")
    path = os.path.join(folder, "hosts")
    with open(path, "w") as f:
        f.write(f"127.0.0.1 localhost\n{address} " + " ".join(names) + "\n")
    subprocess.run(["mount", "--bind", path, "/etc/hosts"], check=True)


def unmap_hosts():
    subprocess.run(["umount", "/etc/hosts"], check=True)
