// mailer.js ADDRESS HOST PORT starttls|tls CA USER PASSWORD FROM TO: one letter with nodemailer, as its manual does it.
// The address is given apart from the name: nodemailer looks up no names where there is no network but loopback.
const nodemailer = require("nodemailer");
const fs = require("fs");

const [address, host, port, security, ca, user, pass, from, to] = process.argv.slice(2);
const transport = nodemailer.createTransport({
  host: address,
  port: Number(port),
  secure: security === "tls",
  requireTLS: true,
  tls: { servername: host, ca: fs.readFileSync(ca) },
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
