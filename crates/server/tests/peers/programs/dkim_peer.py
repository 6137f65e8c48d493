"""DKIM and ARC by dkimpy; the letter is standard input.

dkim_peer.py sign KEY ALGORITHM SELECTOR DOMAIN HEADER/BODY LENGTH   the letter with its signature
dkim_peer.py seal KEY SELECTOR DOMAIN                                the letter with a set of ARC
dkim_peer.py verify ZONE                                             True or False for each signature; ZONE is JSON, name to text"""
import json, sys
import dkim

def key(path):
    with open(path, "rb") as file:
        return file.read()

action, *words = sys.argv[1:]
letter = sys.stdin.buffer.read()
out = sys.stdout.buffer
if action == "sign":
    path, algorithm, selector, domain, canons, length = words
    field = dkim.sign(letter, selector.encode(), domain.encode(), key(path), signature_algorithm=algorithm.encode(),
        canonicalize=tuple(canon.encode() for canon in canons.split("/")), length=length == "length")
    out.write(field + letter)
elif action == "seal":
    path, selector, domain = words
    seal = dkim.arc_sign(letter, selector.encode(), domain.encode(), key(path), domain.encode())
    out.write(b"".join(seal) + letter)
else:
    zone = {name.encode() + b".": text.encode() for name, text in json.load(open(words[0])).items()}
    checker = dkim.DKIM(letter)
    count = sum(1 for name, _ in checker.headers if name.lower() == b"dkim-signature")
    answer = lambda name, timeout=5: zone.get(name if isinstance(name, bytes) else name.encode())
    def verdict(index):
        try:
            return dkim.DKIM(letter).verify(idx=index, dnsfunc=answer)
        except dkim.ValidationError:
            return False
    print(*[verdict(index) for index in range(count)])
