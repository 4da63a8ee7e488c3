# SPDX-License-Identifier: GPL-2.0-or-later
"""Client - NAT gateway - server, in namespaces.

Client addresses ending in 2 are not translated, 3 is masqueraded, 4 gets an
address and ports of a pool.  Port 5004/udp is in zone 7.  Ports 8080/tcp and 5353/udp of the gateway lead
to 80 and 53 of the server.
"""
from lab import Lab

RULES = """
table inet ctl {
    chain raw_in { type filter hook prerouting priority raw; iif lo notrack;
        udp dport 5004 ct zone set 7; udp sport 5004 ct zone set 7; }
    chain raw_out { type filter hook output priority raw; oif lo notrack; }
    chain marks {
        type filter hook prerouting priority mangle;
        udp dport 5001 ct mark set 0x80000042;
    }
    chain pass {
        type filter hook forward priority 0;
        tcp dport 9999 reject with tcp reset;
        ct state new,established,related accept;
    }
    chain nat_dst {
        type nat hook prerouting priority dstnat;
        ip daddr 10.77.1.1 tcp dport 8080 dnat ip to 10.77.2.2:80;
        ip daddr 10.77.1.1 udp dport 5353 dnat ip to 10.77.2.2:53;
        ip6 daddr fd77:1::1 tcp dport 8080 dnat ip6 to [fd77:2::2]:80;
        ip6 daddr fd77:1::1 udp dport 5353 dnat ip6 to [fd77:2::2]:53;
    }
    chain nat_src {
        type nat hook postrouting priority srcnat;
        oifname ctl-g1 ip saddr 10.77.1.3 masquerade;
        oifname ctl-g1 ip6 saddr fd77:1::3 masquerade;
        ip saddr 10.77.1.4 meta l4proto { tcp, udp } snat ip to 10.77.2.9:40000-40999;
        ip6 saddr fd77:1::4 meta l4proto { tcp, udp } snat ip6 to [fd77:2::9]:40000-40999;
    }
}
"""
# What the server neither answers nor refuses.
SERVER_RULES = "table inet ctl { chain in { type filter hook input priority 0; " \
    "tcp dport 9 drop; udp dport 9 drop; }; }"

# Short, so that flows end soon; unlike each other, so that mixing them up shows.
TIMEOUTS = {
    "udp_timeout": 1, "udp_timeout_stream": 2, "icmp_timeout": 1, "icmpv6_timeout": 2,
    "generic_timeout": 1, "tcp_timeout_syn_sent": 2, "tcp_timeout_syn_recv": 3,
    "tcp_timeout_established": 4, "tcp_timeout_fin_wait": 3, "tcp_timeout_close_wait": 4,
    "tcp_timeout_last_ack": 3, "tcp_timeout_time_wait": 2, "tcp_timeout_close": 1,
}

CLIENT, GATEWAY, SERVER = "client", "gateway", "server"


def _address(lab, ns, device, *addresses):
    for a in addresses:
        lab.run(ns, "ip", "addr", "add", a, "dev", device, *(["nodad"] if ":" in a else []))


def _neighbours(lab, ns, device, peer_ns, peer, *addresses):
    """Fixed, so that no first packet waits for its neighbour to be found."""
    shown = lab.run(peer_ns, "ip", "-o", "link", "show", peer)
    mac = shown.split("link/ether ")[1].split()[0]
    for a in addresses:
        lab.run(ns, "ip", "neigh", "replace", a, "lladdr", mac, "dev", device,
                "nud", "permanent")


def _wire(lab, one, device, other, peer):
    lab.run(one, "ip", "link", "add", device, "type", "veth", "peer", "name", peer,
            "netns", lab.path(other))
    for ns, dev in ((one, device), (other, peer)):
        lab.no_offload(ns, dev)
        lab.run(ns, "ip", "link", "set", dev, "up")


def build(lab: Lab):
    """Makes the three namespaces; conntrack accounts and stamps."""
    for ns in (CLIENT, GATEWAY, SERVER):
        lab.add(ns)
    _wire(lab, GATEWAY, "ctl-g0", CLIENT, "ctl-c0")
    _wire(lab, GATEWAY, "ctl-g1", SERVER, "ctl-s0")
    _address(lab, CLIENT, "ctl-c0", *(f"10.77.1.{n}/24" for n in (2, 3, 4)),
             *(f"fd77:1::{n}/64" for n in (2, 3, 4)))
    _address(lab, GATEWAY, "ctl-g0", "10.77.1.1/24", "fd77:1::1/64")
    _address(lab, GATEWAY, "ctl-g1", "10.77.2.1/24", "10.77.2.9/24", "fd77:2::1/64",
             "fd77:2::9/64")
    _address(lab, SERVER, "ctl-s0", "10.77.2.2/24", "fd77:2::2/64")
    _neighbours(lab, CLIENT, "ctl-c0", GATEWAY, "ctl-g0", "10.77.1.1", "fd77:1::1")
    _neighbours(lab, GATEWAY, "ctl-g0", CLIENT, "ctl-c0",
                *(net + n for net in ("10.77.1.", "fd77:1::") for n in "234"))
    _neighbours(lab, GATEWAY, "ctl-g1", SERVER, "ctl-s0", "10.77.2.2", "fd77:2::2")
    _neighbours(lab, SERVER, "ctl-s0", GATEWAY, "ctl-g1", "10.77.2.1", "10.77.2.9",
                "fd77:2::1", "fd77:2::9")
    for ns, net in ((CLIENT, 1), (SERVER, 2)):
        lab.run(ns, "ip", "route", "add", "default", "via", f"10.77.{net}.1")
        lab.run(ns, "ip", "-6", "route", "add", "default", "via", f"fd77:{net}::1")
    with lab.inside(GATEWAY):
        for path in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            with open(f"/proc/sys/net/{path}", "w", encoding="ascii") as f:
                f.write("1")
    lab.nft(GATEWAY, RULES)
    lab.nft(SERVER, SERVER_RULES)
    lab.sysctl(GATEWAY, acct=1, timestamp=1, events=1, **TIMEOUTS)
