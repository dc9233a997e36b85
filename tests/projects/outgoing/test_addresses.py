"""Which addresses count as the open internet, and how the operator's setting is read."""

from ipaddress import ip_address

import pytest

from projects.outgoing.addresses import AllowedAddresses, is_public


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254", "168.63.129.16", "169.254.169.254"),
        *("172.16.0.1", "172.31.255.255", "192.0.0.192", "192.168.1.1", "198.18.0.1", "203.0.113.1", "224.0.0.1", "240.0.0.1"),
        *("255.255.255.255", "::", "::1", "fe80::1", "fe80::1%lo", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::1"),
        *("2001:0:4136:e378:8000:63bf:3fff:fdd2", "2a00:1450::5efe:a00:1", "100::1", "5f00::1"),
    ],
)
def test_what_is_not_on_the_open_internet(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "8.8.8.8", "172.32.0.1", "193.0.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"],
)
def test_what_is(address: str) -> None:
    assert is_public(ip_address(address))


def test_the_operator_names_hosts_ports_addresses_and_networks() -> None:
    allowed = AllowedAddresses.parse(["Ollama.internal", "db.internal:5432", "10.1.0.0/16", "127.0.0.1:11434", "[::1]:8080", "fd00::/8"])
    assert allowed.names("ollama.INTERNAL.", 80)
    assert allowed.names("db.internal", 5432)
    assert not allowed.names("db.internal", 80)
    assert not allowed.names("x.ollama.internal", 80)
    assert allowed.holds(ip_address("10.1.2.3"), 80)
    assert not allowed.holds(ip_address("10.2.0.1"), 80)
    assert allowed.holds(ip_address("127.0.0.1"), 11434)
    assert allowed.holds(ip_address("::ffff:127.0.0.1"), 11434)
    assert not allowed.holds(ip_address("127.0.0.1"), 80)
    assert allowed.holds(ip_address("::1"), 8080)
    assert allowed.holds(ip_address("fd00::1"), 1)


@pytest.mark.parametrize("entry", ["", "http://ollama", "a host:x", "ollama:0", "ollama:70000", "10.0.0.0/99", "*.internal", "a@b"])
def test_an_entry_that_is_no_address_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match=r"address to allow|no port") as raised:
        AllowedAddresses.parse([entry])
    assert repr(entry) in str(raised.value)
