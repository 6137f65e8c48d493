"""Reads a mailbox over POP3 and puts each letter into a file: fetch.py HOST PORT stls|tls CA USER PASSWORD FOLDER

The letters are removed from the mailbox."""
import os, poplib, ssl, sys

host, port, security, ca, user, password, folder = sys.argv[1:]
poplib._MAXLINE = 1 << 20
context = ssl.create_default_context(cafile=ca)
if security == "tls":
    box = poplib.POP3_SSL(host, int(port), context=context, timeout=60)
else:
    box = poplib.POP3(host, int(port), timeout=60)
    box.stls(context=context)
box.user(user)
box.pass_(password)
count = box.stat()[0]
ids = [line.split()[1].decode() for line in box.uidl()[1]]
assert len(set(ids)) == count, ids
for number in range(1, count + 1):
    lines = box.retr(number)[1]
    with open(os.path.join(folder, ids[number - 1]), "wb") as file:
        file.write(b"".join(line + b"\r\n" for line in lines))
    box.dele(number)
box.quit()
print(count)
