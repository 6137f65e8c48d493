# Reads a letter and says as JSON what is in it.
import email
import email.policy
import json
import sys

with open(sys.argv[1], "rb") as file:
    letter = email.message_from_binary_file(file, policy=email.policy.default)


def mailbox(field):
    address = letter[field].addresses[0]
    return [address.display_name, address.addr_spec]


parts = list(letter.walk())
files = [part for part in parts if part.get_content_disposition() == "attachment"]
pictures = [part for part in parts if part["Content-ID"]]
calendar = next(part for part in parts if part.get_content_type() == "text/calendar")
print(json.dumps({
    "from": mailbox("From"),
    "to": mailbox("To"),
    "subject": letter["Subject"],
    "text": letter.get_body(("plain",)).get_content(),
    "html": letter.get_body(("html",)).get_content(),
    "pictures": [[part["Content-ID"], part.get_content().hex()] for part in pictures],
    "method": calendar.get_param("method"),
    "files": [[part.get_filename(), part.get_content().hex()] for part in files],
    "defects": [str(defect) for part in parts for defect in part.defects],
}))
