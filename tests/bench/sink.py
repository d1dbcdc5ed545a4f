"""A server that takes uploads and throws them away; runs as a process of its own beside the load generator."""

import socket
import sys
import threading

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def serve(connection):
    buffer = bytearray(1 << 20)
    head = b""
    with connection:
        while True:
            while b"\r\n\r\n" not in head:
                piece = connection.recv(65536)
                if not piece:
                    return
                head += piece
            fields, _, rest = head.partition(b"\r\n\r\n")
            length = next((int(line.split(b":")[1]) for line in fields.lower().split(b"\r\n")
                           if line.startswith(b"content-length:")), None)
            if length is None:
                return
            left = length - len(rest)
            while left > 0:
                read = connection.recv_into(buffer, min(left, len(buffer)))
                if not read:
                    return
                left -= read
            head = b""
            connection.sendall(ANSWER)


def main():
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=64)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
