"""The table of racks, and what a script answers from it. This file is the script, too: it imports nothing and runs on Python 3.8.

    # racks 1 depth=1 own=10.224.0.0/16,10.244.0.0/16
    10.224.0.4 /westeurope-1
    aks-pool1-000002 /westeurope-1
    10.244.3.0/24 /westeurope-1
    # end 3

The columns are those of Hadoop's TableMapping. Keys are canonical: names in lower case, IPv6 as Java writes it (eight groups, no
`::`), networks with their length for pod addresses. The last line proves that the table is whole.
"""

from __future__ import annotations

VERSION = "# racks 1 "
LARGEST = 16 * 1024 * 1024  # characters; 5,000 nodes with names and networks are half a million
FALLBACK = "/default-rack"  # one component of the answer for the unknown; Hadoop's own word


def canonical(name: str) -> str:
    """Return the key of a host: a name in lower case without its last dot, an address as Java writes it."""
    plain = name.strip().rstrip(".").lower()
    if ":" not in plain:
        return plain
    words = _groups(plain.partition("%")[0])
    if words is None:
        return plain
    if words[:5] == [0] * 5 and words[5] == 0xFFFF:  # an IPv4 address in IPv6's clothes: Java takes them off
        return "%d.%d.%d.%d" % (words[6] >> 8, words[6] & 255, words[7] >> 8, words[7] & 255)  # noqa: UP031
    return ":".join(["%x" % word for word in words])  # noqa: UP031 - quickest, and on any Python


def _groups(text: str) -> list[int] | None:
    """Return the eight numbers of an IPv6 address; None where it is none."""
    head, double, tail = text.partition("::")
    found = [_half(head), _half(tail)]
    if found[0] is None or found[1] is None:
        return None
    missing = 8 - len(found[0]) - len(found[1])
    if (double and missing < 1) or (not double and missing):
        return None
    return found[0] + [0] * missing + found[1]


def _half(text: str) -> list[int] | None:
    words = []
    for part in text.split(":") if text else []:
        if "." in part:
            number = _ipv4(part)
            if number is None:
                return None
            words += [number >> 16, number & 0xFFFF]
        elif 1 <= len(part) <= 4 and not part.strip("0123456789abcdef"):
            words.append(int(part, 16))
        else:
            return None
    return words


def _ipv4(text: str) -> int | None:
    parts = text.split(".")
    if len(parts) != 4:
        return None
    number = 0
    for part in parts:
        if not part.isdigit() or len(part) > 3 or int(part) > 255:
            return None
        number = number << 8 | int(part)
    return number


def bits_of(key: str) -> tuple[int, int] | None:
    """Return an address as a number and its length in bits; None for a name."""
    if ":" in key:
        words = _groups(key)
        if words is None:
            return None
        number = 0
        for word in words:
            number = number << 16 | word
        return number, 128
    number4 = _ipv4(key)
    return None if number4 is None else (number4, 32)


def network_of(text: str) -> tuple[int, int, int] | None:
    """Return a network as number, prefix length and bits of its addresses; None where it is none."""
    address, slash, length = text.partition("/")
    found = bits_of(canonical(address))
    if not slash or found is None or not length.isdigit() or int(length) > found[1]:
        return None
    number, bits = found
    prefix = int(length)
    return number >> (bits - prefix) << (bits - prefix), prefix, bits


def within(address: tuple[int, int], network: tuple[int, int, int]) -> bool:
    """Return whether an address is of a network."""
    number, prefix, bits = network
    return address[1] == bits and address[0] >> (bits - prefix) == number >> (bits - prefix)


def right_path(path: str, depth: int) -> bool:
    """Return whether a path is of this depth, and can be printed."""
    parts = path.split("/")
    return len(parts) == depth + 1 and not parts[0] and all(parts[1:]) and path.split() == [path]


def read_table(text: str, depth: int) -> tuple[dict[str, str], list[str]] | None:
    """Return rows and own networks; None where it is not a whole table of this depth."""
    head, newline, body = text.partition("\n")
    if not newline or not head.startswith(VERSION) or len(text) > LARGEST:
        return None
    said = dict([word.partition("=")[::2] for word in head[len(VERSION) :].split()])
    rest, _, last = body.rstrip("\n").rpartition("\n")
    if said.get("depth") != str(depth) or not last.startswith("# end ") or not body.endswith("\n"):
        return None
    words = rest.split()
    if last[6:] != str(len(words) // 2) or len(words) != 2 * (rest.count("\n") + 1 if rest else 0):
        return None
    return dict(zip(words[::2], words[1::2])), [word for word in said.get("own", "").split(",") if word]  # noqa: B905 - 3.10


def fallback(depth: int) -> str:
    """Return the path of the unknown: of the depth of all others, since Hadoop refuses nodes of another one."""
    return FALLBACK * depth


def networks_of(rows: dict[str, str]) -> list[tuple[int, int, dict[int, str]]]:
    """Return the networks among the rows by prefix length, the longest first: prefix, bits, and path by number."""
    found: dict[tuple[int, int], dict[int, str]] = {}
    for key, path in rows.items():
        if "/" in key:
            network = network_of(key)
            if network is not None:
                number, prefix, bits = network
                found.setdefault((prefix, bits), {})[number >> (bits - prefix)] = path
    return [(prefix, bits, found[prefix, bits]) for prefix, bits in sorted(found, reverse=True)]


def longest(networks: list[tuple[int, int, dict[int, str]]], address: tuple[int, int]) -> str | None:
    """Return the path of the longest network that an address is in."""
    for prefix, bits, paths in networks:
        if bits == address[1]:
            path = paths.get(address[0] >> (bits - prefix))
            if path is not None:
                return path
    return None


def answers(names: list[str], texts: list[str], depth: int, strict: bool) -> list[str] | None:  # noqa: FBT001
    """Return a path for each name, all of one depth; None where Hadoop should ask again.

    Args:
        texts: the table and the one before it; the first that is whole counts.
        strict: a host of our own networks that is not known yet has no answer at all, so that Hadoop keeps none; nor has
            anybody where there is no table.
    """
    rows: dict[str, str] | None = None
    own: list[str] = []
    for text in texts:
        table = read_table(text, depth)
        if table is not None:
            rows, own = table
            break
    if rows is None:
        return None if strict else [fallback(depth)] * len(names)
    found: list[str] = []
    networks: list[tuple[int, int, dict[int, str]]] | None = None  # made when somebody needs them
    for name in names:
        key = canonical(name)
        path = rows.get(key)
        if path is None:
            address = bits_of(key)
            if address is None:
                path = rows.get(key.partition(".")[0])
            else:
                networks = networks_of(rows) if networks is None else networks
                path = longest(networks, address)
        if path is None or not right_path(path, depth):
            if strict and _is_own(key, own):
                return None
            path = fallback(depth)
        found.append(path)
    return found


def _is_own(key: str, own: list[str]) -> bool:
    address = bits_of(key)
    if address is None:
        return False
    networks = [network_of(text) for text in own]
    return any(network is not None and within(address, network) for network in networks)
