"""Sends one file through a server as it is: send.py FILE HOST PORT plain|starttls|tls CA USER PASSWORD FROM OPTIONS TO...

Prints the recipients that were refused; anything else that goes wrong is a traceback."""
import smtplib, ssl, sys

file, host, port, security, ca, user, password, sender, options, *to = sys.argv[1:]
context = ssl.create_default_context(cafile=ca) if security != "plain" else None
if security == "tls":
    server = smtplib.SMTP_SSL(host, int(port), local_hostname="client.test", context=context, timeout=60)
else:
    server = smtplib.SMTP(host, int(port), local_hostname="client.test", timeout=60)
with server:
    if security == "starttls":
        server.starttls(context=context)
    if user:
        server.login(user, password)
    with open(file, "rb") as letter:
        print(server.sendmail(sender, to, letter.read(), options.split()))
