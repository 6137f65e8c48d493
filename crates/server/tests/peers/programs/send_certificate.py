"""Logs in with a certificate and sends one letter: send_certificate.py HOST PORT CA CERT KEY AUTHZID FROM TO

Prints what the server said if it does not let us in, and `not offered` if it cannot be asked."""
import smtplib, ssl, sys

host, port, ca, cert, key, authzid, sender, to = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
context.load_cert_chain(cert, key)
with smtplib.SMTP(host, int(port), local_hostname="client.test", timeout=60) as server:
    server.starttls(context=context)
    server.ehlo()
    if "EXTERNAL" not in server.esmtp_features["auth"].split():
        print("not offered")
        sys.exit()
    try:
        server.auth("EXTERNAL", lambda challenge=None: authzid)
    except smtplib.SMTPAuthenticationError as error:
        print(error.smtp_code)
        sys.exit()
    server.sendmail(sender, [to], b"Subject: by certificate\r\n\r\nsmtplib\r\n")
    print("sent")
