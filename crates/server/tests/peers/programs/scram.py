"""Logs in by SCRAM as scramp does it, bound to the server's certificate or not.

scram.py PROTOCOL HOST PORT CA TLS MECHANISM BINDING LOGIN PASSWORD

PROTOCOL is smtp or pop3, over TLS from the start; TLS the newest version, 1.2 or 1.3; BINDING tls-server-end-point, another's (of another certificate) or none.
Prints what was offered and the answer to the log-in.
"""

import base64
import socket
import ssl
import sys

from scramp import ScramClient

protocol, host, port, ca, tls, mechanism, binding, login, password = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
context.maximum_version = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[tls]
stream = context.wrap_socket(socket.create_connection((host, int(port)), timeout=60), server_hostname=host)
lines = stream.makefile("rb")


def line():
    return lines.readline().decode().rstrip("\r\n")


def say(text):
    stream.sendall(text.encode() + b"\r\n")


line()
if protocol == "smtp":
    say("EHLO client.test")
    replies = [line()]
    while replies[-1][3] == "-":
        replies.append(line())
    offers = [reply[4:] for reply in replies if reply[4:].startswith("AUTH ")]
else:
    say("CAPA")
    replies = [line()]
    while replies[-1] != ".":
        replies.append(line())
    offers = [reply for reply in replies if reply.startswith("SASL ")]
print(offers[0])

bound = None
if binding == "tls-server-end-point":
    bound = (binding, stream)
elif binding == "another's":
    bound = ("tls-server-end-point", bytes(32))
client = ScramClient([mechanism], login, password, channel_binding=bound)


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def challenge():
    reply = line()
    mark = "334 " if protocol == "smtp" else "+ "
    if not reply.startswith(mark):
        print(reply)
        sys.exit(0)
    return base64.b64decode(reply[len(mark):]).decode()


say(f"AUTH {mechanism} {encoded(client.get_client_first())}")
client.set_server_first(challenge())
say(encoded(client.get_client_final()))
client.set_server_final(challenge())
say("")
print(line())
