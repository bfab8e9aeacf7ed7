"""Properties and headers there and back: what goes in must come out, type by type."""

import decimal
import struct
from datetime import datetime, timezone

import pika
import pytest
from pika.exceptions import ChannelClosedByBroker

from helpers import publish

ALL_PROPERTIES = {
    "content_type": "application/json",
    "content_encoding": "gzip",
    "headers": {"a": 1},
    "delivery_mode": 2,
    "priority": 9,
    "correlation_id": "c-1",
    "reply_to": "answers",
    "expiration": "60000",
    "message_id": "m-1",
    "timestamp": 1_700_000_000,
    "type": "order.created",
    "user_id": "guest",
    "app_id": "shop",
    "cluster_id": "old-fashioned",
}


@pytest.fixture
def there_and_back(channel, unique):
    """Sends properties, gives those that arrive."""
    queue = unique("queue")
    channel.queue_declare(queue)

    def send(**properties):
        publish(channel, queue, b"x", **properties)
        return channel.basic_get(queue, auto_ack=True)[1]

    return send


@pytest.fixture
def header(there_and_back):
    """Sends one header value, gives the one that arrives."""
    return lambda value: there_and_back(headers={"key": value}).headers["key"]


# -- properties ------------------------------------------------------------------------------


def test_all_properties(there_and_back):
    assert vars(there_and_back(**ALL_PROPERTIES)) == vars(pika.BasicProperties(**ALL_PROPERTIES))


@pytest.mark.parametrize("name", ALL_PROPERTIES)
def test_each_property_alone(there_and_back, name):
    sent = {name: ALL_PROPERTIES[name]}
    # The others are absent, not empty.
    assert vars(there_and_back(**sent)) == vars(pika.BasicProperties(**sent))


def test_no_properties(there_and_back):
    assert vars(there_and_back()) == vars(pika.BasicProperties())


def test_empty_is_not_absent(there_and_back):
    properties = there_and_back(content_type="", headers={}, correlation_id="", type="")
    assert (properties.content_type, properties.correlation_id, properties.type) == ("", "", "")
    assert properties.headers == {}
    assert properties.message_id is None


def test_the_longest_short_string(there_and_back):
    longest = "x" * 255
    properties = there_and_back(correlation_id=longest, message_id="ü" * 127)
    assert (properties.correlation_id, properties.message_id) == (longest, "ü" * 127)


@pytest.mark.parametrize("delivery_mode", [1, 2])
def test_delivery_modes_are_passed_on(there_and_back, delivery_mode):
    assert there_and_back(delivery_mode=delivery_mode).delivery_mode == delivery_mode


@pytest.mark.parametrize("delivery_mode", [0, 3, 255])
def test_other_delivery_modes(there_and_back, delivery_mode, peer_is_rabbitmq):
    if peer_is_rabbitmq:
        # 3.10 still refused what 4.x takes as "not persistent".
        with pytest.raises(ChannelClosedByBroker, match="406.*delivery_mode_unknown"):
            there_and_back(delivery_mode=delivery_mode)
    else:
        assert there_and_back(delivery_mode=delivery_mode).delivery_mode == delivery_mode


@pytest.mark.parametrize("priority", [0, 1, 255])
def test_priorities_are_passed_on(there_and_back, priority):
    assert there_and_back(priority=priority).priority == priority


@pytest.mark.parametrize("timestamp", [0, 1, 2**31, 2**40])
def test_timestamps_are_passed_on(there_and_back, timestamp):
    assert there_and_back(timestamp=timestamp).timestamp == timestamp


# -- headers, as pika shows them -------------------------------------------------------------

HEADERS = {
    "bool true": True,
    "bool false": False,
    "zero": 0,
    "negative": -1,
    "largest 32-bit": 2**31 - 1,
    "smallest 32-bit": -(2**31),
    "beyond 32 bits": 2**31,
    "largest 64-bit": 2**63 - 1,
    "smallest 64-bit": -(2**63),
    "text": "text",
    "empty text": "",
    "unicode text": "grüße, 世界 🐇",
    "long text": "x" * 70_000,
    "bytes": b"\x00\xff\xfe",
    "no bytes": b"",
    "none": None,
    "decimal": decimal.Decimal("123.45"),
    "negative decimal": decimal.Decimal("-0.007"),
    "whole decimal": decimal.Decimal(42),
    "timestamp": datetime(2024, 2, 29, 12, 30, 45, tzinfo=timezone.utc),
    "epoch": datetime(1970, 1, 1, tzinfo=timezone.utc),
    "list": [1, "two", None, True, b"3"],
    "empty list": [],
    "table": {"a": 1, "b": "two"},
    "empty table": {},
    "nested": {"list": [{"deep": [[[]]], "more": {"x": {"y": {"z": None}}}}, []], "n": -5},
}


@pytest.mark.parametrize("label", HEADERS)
def test_each_type_of_header(header, label):
    received = header(HEADERS[label])
    assert received == HEADERS[label]
    # True == 1 for Python, so the types are compared as well; pika's own class for 64-bit
    # integers is an int too.
    expected = type(HEADERS[label])
    assert isinstance(received, expected) and isinstance(received, bool) == (expected is bool)


def test_all_headers_together(there_and_back):
    assert there_and_back(headers=HEADERS).headers == HEADERS


def test_many_headers(there_and_back):
    headers = {f"header-{number:04}": number for number in range(1000)}
    assert there_and_back(headers=headers).headers == headers


def test_header_names(there_and_back):
    headers = {"n" * 255: 1, "ünïcode": 2, "with space": 3, "x-custom": 4, "UPPER": 5, "upper": 6}
    assert there_and_back(headers=headers).headers == headers


def test_deep_nesting(header):
    value = "bottom"
    for level in range(50):
        value = {"down": value} if level % 2 else [value]
    assert header(value) == value


# -- headers, octet by octet -----------------------------------------------------------------


class Wire:
    """A field value as it stands on the wire: pika cannot send floats, nor small integers, and
    shows a received float without its fraction. So here it is taught to pass octets through."""

    def __init__(self, tag, layout, *values):
        self.octets = tag + struct.pack(layout, *values)

    def __repr__(self):
        return f"Wire({self.octets!r})"


WIRE_VALUES = {
    "bool": Wire(b"t", ">B", 1),
    "8 bits": Wire(b"b", ">b", -128),
    "8 bits unsigned": Wire(b"B", ">B", 255),
    "16 bits": Wire(b"s", ">h", -32768),
    "16 bits unsigned": Wire(b"u", ">H", 65535),
    "32 bits": Wire(b"I", ">i", -(2**31)),
    "32 bits unsigned": Wire(b"i", ">I", 2**32 - 1),
    "64 bits": Wire(b"l", ">q", -(2**63)),
    "float": Wire(b"f", ">f", 1.5),
    "double": Wire(b"d", ">d", 3.141592653589793),
    "decimal": Wire(b"D", ">BI", 255, 2**32 - 1),
    "timestamp": Wire(b"T", ">Q", 2**63),
    "text that is not UTF-8": Wire(b"S", ">I3s", 3, b"\xff\x00\xfe"),
    "bytes": Wire(b"x", ">I2s", 2, b"\x00\x01"),
    "void": Wire(b"V", ">"),
    "array": Wire(b"A", ">I2sci", 7, b"t\x01", b"I", 7),
    "table": Wire(b"F", ">IB1sc", 3, 1, b"k", b"V"),
}


@pytest.fixture
def octets_pass_through(channel, monkeypatch):
    """Lets pika send a Wire as it is, and receive every value of a table as its octets.

    Asks for the channel so that it is open before: the handshake has tables of its own.
    """
    encode, decode = pika.data.encode_value, pika.data.decode_value

    def encode_value(pieces, value):
        if not isinstance(value, Wire):
            return encode(pieces, value)
        pieces.append(value.octets)
        return len(value.octets)

    def decode_value(encoded, offset):
        tag = encoded[offset : offset + 1]
        if tag == b"T":
            # pika makes a date of it, and dates end in the year 9999.
            end = offset + 9
        else:
            _value, end = decode(encoded, offset)
        return encoded[offset:end], end

    monkeypatch.setattr(pika.data, "encode_value", encode_value)
    monkeypatch.setattr(pika.data, "decode_value", decode_value)


@pytest.mark.parametrize("label", WIRE_VALUES)
def test_octets_are_kept(octets_pass_through, header, label):
    assert header(WIRE_VALUES[label]) == WIRE_VALUES[label].octets


def test_octets_of_all_together_are_kept(octets_pass_through, there_and_back):
    received = there_and_back(headers=WIRE_VALUES).headers
    assert received == {label: value.octets for label, value in WIRE_VALUES.items()}


def test_an_upper_case_l_is_a_64_bit_integer_too(octets_pass_through, header):
    """Either letter is understood, and a broker may write the other one."""
    sent = Wire(b"L", ">q", -5)
    assert header(sent) in (b"l" + sent.octets[1:], b"L" + sent.octets[1:])
