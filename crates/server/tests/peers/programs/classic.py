"""The program that everybody writes: a multipart letter over port 587, to several people."""
import smtplib
import ssl
import sys
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

host, port, ca, sender, password = sys.argv[1:6]
receivers = sys.argv[6:]

message = MIMEMultipart("alternative")
message["Subject"] = "A letter from a program"
message["From"] = sender
message["To"] = ", ".join(receivers)
message.attach(MIMEText("Hello,\n\n.this line begins with a dot\n\nGrüße\n", "plain", "utf-8"))
message.attach(MIMEText("<p>Hello</p>", "html"))

try:
    context = ssl.create_default_context(cafile=ca)
    server = smtplib.SMTP(host, int(port))
    server.starttls(context=context)
    server.login(sender, password)
    server.sendmail(sender, receivers, message.as_string())
    server.quit()
    print("sent")
except Exception as e:
    print(type(e).__name__, e)
    sys.exit(1)
