/**
 * Python that makes TCP sockets whose last close(2) waits (SO_LINGER and data that nobody reads): neither Node nor our FFI has
 * setsockopt(2). `lingering()` returns the socket and the end of the connection that must stay open; `message()` makes a
 * vhost-user message.
 */
export const LINGERING_SOCKET = `
import socket, struct, sys
server = socket.create_server(('127.0.0.1', 0), backlog=64)
def lingering(buffers=None):
    tcp = socket.socket()
    if buffers: tcp.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffers)
    tcp.connect(server.getsockname())
    peer = server.accept()[0]
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 600))
    tcp.setblocking(False)
    try:
        while True: tcp.send(bytes(65536))
    except BlockingIOError: pass
    return tcp, peer
def message(request, payload=b'', flags=1): return struct.pack('III', request, flags, len(payload)) + payload
`;
