"""Logs in with a name and a password, whatever octets they have, and prints the answer.

login.py PROTOCOL HOST PORT CA LOGIN PASSWORD

PROTOCOL is smtp or pop3, over TLS from the start, or offer: the mechanisms that are offered over SMTP.
"""

import base64
import socket
import ssl
import sys

protocol, host, port, ca, login, password = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
stream = context.wrap_socket(socket.create_connection((host, int(port)), timeout=60), server_hostname=host)
lines = stream.makefile("rb")


def line():
    return lines.readline().decode().rstrip("\r\n")


def say(text):
    stream.sendall(text.encode() + b"\r\n")


line()
if protocol == "pop3":
    say(f"USER {login}")
    line()
    say(f"PASS {password}")
    print(line())
    sys.exit(0)
say("EHLO client.test")
replies = [line()]
while replies[-1][3] == "-":
    replies.append(line())
if protocol == "offer":
    print(next(reply[4:] for reply in replies if reply[4:].startswith("AUTH ")))
    sys.exit(0)
say("AUTH PLAIN " + base64.b64encode(f"\0{login}\0{password}".encode()).decode())
print(line())
