"""Logs in with a token and sends one letter: send_token.py HOST PORT CA USER TOKEN OAUTHBEARER|XOAUTH2 FROM TO

Prints what the server said to a token that it does not take."""
import base64, smtplib, ssl, sys

host, port, ca, user, token, mechanism, sender, to = sys.argv[1:]
initial = {
    "OAUTHBEARER": f"n,a={user},\x01auth=Bearer {token}\x01\x01",
    "XOAUTH2": f"user={user}\x01auth=Bearer {token}\x01\x01",
}[mechanism]
dummy = {"OAUTHBEARER": "\x01", "XOAUTH2": ""}[mechanism]
reasons = []


def answer(challenge=None):
    if challenge is None:
        return initial
    reasons.append(challenge.decode())
    return dummy


with smtplib.SMTP(host, int(port), local_hostname="client.test", timeout=60) as server:
    server.starttls(context=ssl.create_default_context(cafile=ca))
    server.ehlo()
    assert mechanism in server.esmtp_features["auth"].split(), server.esmtp_features
    try:
        server.auth(mechanism, answer)
    except smtplib.SMTPAuthenticationError as error:
        print(error.smtp_code, reasons)
        sys.exit()
    server.sendmail(sender, [to], b"Subject: by token\r\n\r\nsmtplib\r\n")
    print("sent")
