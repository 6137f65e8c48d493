"""How long answers take: timing.py SUBMISSIONS POP3S CA NAMES ROUNDS, with the password of nobody.

NAMES has a line for each login: `known` or `unknown`, a space, the login. Each is asked about in every round, in an order of chance, by each kind of question.
Printed is a line for each answer: kind, group, nanoseconds.
"""

import base64
import random
import socket
import ssl
import sys
import time

submissions, pop3s, ca, names, rounds = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5])
context = ssl.create_default_context(cafile=ca)


class Line:
    """A connection and what is read of it line by line."""

    def __init__(self, port):
        plain = socket.create_connection(("127.0.0.1", port), timeout=60)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = context.wrap_socket(plain, server_hostname="localhost")
        self.rest = b""
        self.reply()

    def reply(self):
        while True:
            while b"\n" not in self.rest:
                more = self.stream.recv(65536)
                if not more:
                    raise EOFError
                self.rest += more
            line, self.rest = self.rest.split(b"\n", 1)
            if line[3:4] != b"-" or line[:1] in b"+-":
                return line

    def ask(self, line):
        self.stream.sendall(line + b"\r\n")
        return self.reply()

    def timed(self, line, expected):
        began = time.perf_counter_ns()
        said = self.ask(line)
        took = time.perf_counter_ns() - began
        if not said.startswith(expected):
            raise SystemExit(f"{said!r} to {line!r}")
        return took


def text(octets):
    return base64.b64encode(octets)


def plain(smtp, login):
    return smtp.timed(b"AUTH PLAIN " + text(b"\0" + login + b"\0" + b"not the password"), b"535")


def scram(smtp, login):
    took = smtp.timed(b"AUTH SCRAM-SHA-256 " + text(b"n,,n=" + login + b",r=clientnonce"), b"334")
    smtp.ask(b"*")
    return took


def proof(smtp, login):
    challenge = base64.b64decode(smtp.ask(b"AUTH SCRAM-SHA-256 " + text(b"n,,n=" + login + b",r=clientnonce"))[4:])
    nonce = challenge.split(b",")[0]
    return smtp.timed(text(b"c=biws," + nonce + b",p=" + text(b"\0" * 32)), b"535")


def vrfy(smtp, login):
    return smtp.timed(b"VRFY " + login, b"252")


def popped(pop3, login):
    pop3.ask(b"USER " + login)
    return pop3.timed(b"PASS not the password", b"-ERR")


KINDS = [
    ("AUTH PLAIN", submissions, plain),
    ("AUTH SCRAM-SHA-256, challenge", submissions, scram),
    ("AUTH SCRAM-SHA-256, proof", submissions, proof),
    ("VRFY", submissions, vrfy),
    ("POP3 USER and PASS", pop3s, popped),
]


def opened(port):
    line = Line(port)
    if port == submissions:
        line.ask(b"EHLO timing.test")
    return line


asked = [tuple(line.split(" ")) for line in open(names).read().splitlines()]
for kind, port, question in KINDS:
    for _ in range(rounds):
        random.shuffle(asked)
        for group, login in asked:
            line = opened(port)
            print(kind, group, question(line, login.encode()), sep="\t")
            line.stream.close()
