// mailer.js HOST PORT starttls|tls CA USER PASSWORD FROM TO: one letter with nodemailer, as its manual does it.
const nodemailer = require("nodemailer");
const fs = require("fs");

const [host, port, security, ca, user, pass, from, to] = process.argv.slice(2);
const transport = nodemailer.createTransport({
  host,
  port: Number(port),
  secure: security === "tls",
  requireTLS: true,
  tls: { ca: fs.readFileSync(ca) },
  auth: { user, pass },
});
transport
  .sendMail({
    from,
    to,
    subject: "A letter from node",
    text: "Hello\n.dot\n\u00fcber alles\n",
    attachments: [{ filename: "a.bin", content: Buffer.alloc(3000, 7) }],
  })
  .then((info) => console.log("sent", info.accepted.join(","), info.response))
  .catch((why) => {
    console.log(why.code, why.message);
    process.exit(1);
  });
