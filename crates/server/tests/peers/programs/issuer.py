"""A token that a server with the same key believes: issuer.py key | issuer.py USER"""
import base64, hashlib, hmac, json, sys, time

KEY = b"a key of thirty-two octets or so"


def part(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=")


if sys.argv[1] == "key":
    print(base64.b64encode(KEY).decode(), end="")
else:
    user, now = sys.argv[1], int(time.time())
    head = {"alg": "HS256", "typ": "JWT"}
    claims = {"sub": user, "email": user, "iss": "https://issuer.test", "iat": now - 10, "exp": now + 600}
    signed = b".".join(part(json.dumps(piece).encode()) for piece in (head, claims))
    print((signed + b"." + part(hmac.new(KEY, signed, hashlib.sha256).digest())).decode())
