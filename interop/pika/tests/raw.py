"""A client without a will of its own: a socket, and pika's frames by hand.

For what pika would never do, such as to fall silent on purpose.
"""

import select
import socket
import time

from pika import frame, spec


class RawClient:
    """A connection on which nothing happens by itself."""

    def __init__(self, broker, heartbeat=0):
        self.parameters = broker.parameters()
        address = (self.parameters.host, self.parameters.port)
        self.socket = socket.create_connection(address, timeout=60)
        self.buffer = b""
        self.heartbeats_received = 0
        self.closed_at = None
        # The broker counts from something that it hears later than this.
        self.opened_at = time.monotonic()
        self._handshake(heartbeat)

    def _handshake(self, heartbeat):
        self.socket.sendall(frame.ProtocolHeader().marshal())
        start = self.expect(spec.Connection.Start)
        mechanism, response = self.parameters.credentials.response_for(start)
        self.send(spec.Connection.StartOk({}, mechanism, response, "en_US"))
        tune = self.expect(spec.Connection.Tune)
        self.send(spec.Connection.TuneOk(tune.channel_max, tune.frame_max, heartbeat))
        self.send(spec.Connection.Open(self.parameters.virtual_host))
        self.expect(spec.Connection.OpenOk)

    def send(self, method, channel=0):
        self.send_frame(frame.Method(channel, method))

    def send_frame(self, any_frame):
        self.socket.sendall(any_frame.marshal())

    def expect(self, kind):
        """Waits for a method of this kind and gives it."""
        while True:
            for received in self._frames():
                if isinstance(received, frame.Method):
                    assert isinstance(received.method, kind), received
                    return received.method
            data = self.socket.recv(65536)
            assert data, "the broker closed the connection"
            self.buffer += data

    def _frames(self):
        while True:
            consumed, received = frame.decode_frame(self.buffer)
            if received is None:
                return
            self.buffer = self.buffer[consumed:]
            self.heartbeats_received += isinstance(received, frame.Heartbeat)
            yield received

    def listen(self):
        """Takes what has arrived, without waiting. Notes when the broker has hung up."""
        while self.closed_at is None and select.select([self.socket], [], [], 0)[0]:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                self.closed_at = time.monotonic()
            self.buffer += data
            for _received in self._frames():
                pass

    @property
    def lived_seconds(self):
        """How long it took until the broker hung up; None while it has not."""
        return self.closed_at and self.closed_at - self.opened_at

    def close(self):
        self.socket.close()
