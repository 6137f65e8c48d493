# flood PORT CONNECTIONS LETTERS SIZE
import smtplib
import sys
import threading
from email.message import EmailMessage
from itertools import count

port, connections, letters, size = map(int, sys.argv[1:])
line = "All work and no play makes Jack a dull boy, all work and no play.\n"
text = (line * (size // len(line) + 1))[:size]
numbers = count()


def work():
    with smtplib.SMTP("127.0.0.1", port) as server:
        while (n := next(numbers)) < letters:
            letter = EmailMessage()
            letter["From"] = "alice@load.test"
            letter["To"] = f"bob{n}@sink.test"
            letter["Subject"] = f"Letter {n}"
            letter.set_content(text)
            server.send_message(letter)


threads = [threading.Thread(target=work) for _ in range(connections)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
