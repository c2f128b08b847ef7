/**
 * Python that makes TCP sockets whose last close(2) waits (SO_LINGER and data that nobody reads): neither Node nor our FFI has
 * setsockopt(2). `lingering()` returns the socket and the end of the connection that must stay open; `message()` makes a
 * vhost-user message.
 */
export const LINGERING_SOCKET = `
import select, socket, struct, sys
server = socket.create_server(('127.0.0.1', 0), backlog=64)
# Few bytes for each of many: the connections inherit it.
server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
def lingering():
    tcp = socket.create_connection(server.getsockname())
    peer = server.accept()[0]
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 600))
    tcp.setblocking(False)
    # Full is the connection when the kernel has moved on what it can and there is no room yet.
    while select.select([], [tcp], [], 0.01)[1]: tcp.send(bytes(65536))
    return tcp, peer
def message(request, payload=b'', flags=1): return struct.pack('III', request, flags, len(payload)) + payload
`;
