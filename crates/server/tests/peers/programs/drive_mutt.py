"""Lets mutt show the first letter of a mailbox and save its attachments: drive_mutt.py MAILBOX FOLDER

What it shows goes to FOLDER/shown, the attachments there under the names that mutt has for them."""
import os, pty, select, subprocess, sys, time

mailbox, folder = sys.argv[1:]
# Enough for all of the parts; behind the last one the cursor stays and a file that is there is not written again.
PARTS = 24
keys = "<pipe-message>cat >%s/shown<enter><enter><view-attachments>" % folder
keys += "<save-entry><enter><next-entry>" * PARTS + "<exit><exit>"
with open(os.path.join(folder, "muttrc"), "w") as rc:
    for line in [
        "set charset=utf-8 send_charset=utf-8 wait_key=no pipe_decode=yes confirmappend=no quit=yes read_inc=0 mark_old=no",
        "set resolve=no save_empty=yes folder=%s attach_sep='' header_cache='' tmpdir=%s rfc2047_parameters=no" % (folder, folder),
            "push \"%s\"" % keys,
    ]:
        rc.write(line + "\n")
screen, inside = pty.openpty()
mutt = subprocess.Popen(
    ["mutt", "-n", "-F", os.path.join(folder, "muttrc"), "-R", "-f", mailbox],
    stdin=inside, stdout=inside, stderr=inside, cwd=folder, env={**os.environ, "TERM": "xterm", "HOME": folder}, start_new_session=True)
os.close(inside)
said, quiet, until = b"", 0, time.monotonic() + 20
while mutt.poll() is None and time.monotonic() < until:
    if select.select([screen], [], [], 0.2)[0]:
        try:
            said, quiet = said + os.read(screen, 65536), 0
        except OSError:
            break
        continue
    quiet += 1
    # It asks about the file of the last part, which is there already, or waits in its index.
    if b"verwrite" in said[-200:] or quiet > 3:
        os.write(screen, b"c" if b"verwrite" in said[-200:] else b"q")
        said, quiet = b"", 0
try:
    mutt.wait(5)
except subprocess.TimeoutExpired:
    mutt.kill()
    sys.exit("mutt did not end: %r" % said[-2000:])
