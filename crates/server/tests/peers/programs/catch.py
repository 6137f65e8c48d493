"""aiosmtpd with its three doors: catch.py ADDRESS CERTIFICATE KEY USER PASSWORD MAILDIR

Port 25 in clear, 587 with STARTTLS, 465 with TLS from the first octet. nobody@ is refused for good, later@ for now."""
import asyncio, os, ssl, sys
from aiosmtpd.smtp import SMTP, AuthResult

address, certificate, key, user, password, box = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
number = 0


class Box:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 5.1.1 no such user"
        if address.startswith("later@"):
            return "450 4.2.1 not now"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        global number
        number += 1
        name = f"{os.getpid()}.{number}"
        with open(os.path.join(box, "tmp", name), "wb") as file:
            file.write(envelope.original_content)
        os.rename(os.path.join(box, "tmp", name), os.path.join(box, "new", name))
        return "250 kept"


def known(server, session, envelope, mechanism, data):
    right = (data.login, data.password) == (user.encode(), password.encode())
    return AuthResult(success=right, handled=False)


def door(starttls=None):
    return lambda: SMTP(
        Box(), hostname="mx.aiosmtpd.test", enable_SMTPUTF8=True, tls_context=starttls,
        authenticator=known, auth_require_tls=False, data_size_limit=100_000_000)


async def serve():
    loop = asyncio.get_running_loop()
    await loop.create_server(door(), address, 25)
    await loop.create_server(door(starttls=context), address, 587)
    await loop.create_server(door(), address, 465, ssl=context)
    await asyncio.Event().wait()


asyncio.run(serve())
