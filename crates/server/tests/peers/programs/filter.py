"""A filter written with python3-milter: it knows every stage, and changes everything that can be changed."""

import sys

import Milter


class Filter(Milter.Base):
    @Milter.noreply
    def connect(self, name, family, address):
        self.peer = address[0]
        return Milter.CONTINUE

    def envfrom(self, sender, *arguments):
        self.size, self.fields = 0, []
        if sender == "<unwanted@client.test>":
            self.setreply("550", "5.7.1", "not from", "you")
            return Milter.REJECT
        return Milter.CONTINUE

    def envrcpt(self, recipient, *arguments):
        if recipient.startswith("<busy@"):
            self.setreply("450", "4.2.1", "busy just now")
            return Milter.TEMPFAIL
        return Milter.CONTINUE

    def header(self, name, value):
        self.fields.append(name)
        return Milter.CONTINUE

    def eoh(self):
        return Milter.CONTINUE

    def body(self, piece):
        self.size += len(piece)
        return Milter.CONTINUE

    def eom(self):
        if "X-Drop" in self.fields:
            return Milter.DISCARD
        self.addheader("X-Seen", "%s %d %s" % (self.peer, self.size, ",".join(self.fields)))
        self.addheader("X-Queue", self.getsymval("i") or "none", 0)
        self.chgheader("Subject", 1, "changed")
        if "X-Replace" in self.fields:
            self.replacebody(b"another body\nwith lines of its own\n" * 5000)
            self.addrcpt("<alice@posthouse.test>")
            self.delrcpt("<bob@posthouse.test>")
            self.quarantine("as asked")
        return Milter.ACCEPT


Milter.factory = Filter
Milter.set_flags(
    Milter.ADDHDRS | Milter.CHGHDRS | Milter.CHGBODY | Milter.ADDRCPT | Milter.DELRCPT | Milter.QUARANTINE
)
Milter.runmilter("filter", sys.argv[1], 60)
