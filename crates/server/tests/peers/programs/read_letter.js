// Reads a letter and says as JSON what is in it: read_letter.js mailparser|postal-mime FILE
const fs = require("node:fs");

const [reader, file] = process.argv.slice(2);
const letter = fs.readFileSync(file);
const hex = (octets) => Buffer.from(octets).toString("hex");

function say(from, to, subject, text, html, attachments) {
  const calendar = attachments.find((part) => part.type === "text/calendar");
  console.log(JSON.stringify({
    from,
    to,
    subject,
    text,
    html,
    pictures: attachments.filter((part) => part.id).map((part) => [part.id, hex(part.content)]),
    method: calendar.method,
    files: attachments.filter((part) => !part.id && part !== calendar).map((part) => [part.name, hex(part.content)]),
  }));
}

async function mailparser() {
  const { simpleParser } = require("mailparser");
  const read = await simpleParser(letter, { skipImageLinks: true });
  const mailbox = (list) => [list.value[0].name, list.value[0].address];
  const attachments = read.attachments.map((part) => ({
    type: part.contentType, name: part.filename, id: part.contentId, content: part.content,
    method: part.headers.get("content-type").params.method,
  }));
  say(mailbox(read.from), mailbox(read.to), read.subject, read.text, read.html, attachments);
}

async function postalMime() {
  const PostalMime = require("postal-mime").default ?? require("postal-mime");
  const read = await PostalMime.parse(letter);
  const mailbox = (one) => [one.name, one.address];
  const attachments = read.attachments.map((part) => ({
    type: part.mimeType, name: part.filename, id: part.contentId, content: part.content, method: part.method,
  }));
  say(mailbox(read.from), mailbox(read.to[0]), read.subject, read.text, read.html, attachments);
}

(reader === "mailparser" ? mailparser() : postalMime()).catch((why) => {
  console.error(why);
  process.exit(1);
});
