// flood PORT CONNECTIONS LETTERS SIZE
const [port, connections, letters, size] = process.argv.slice(2).map(Number);
const nodemailer = require("nodemailer");
const transport = nodemailer.createTransport({
  host: "127.0.0.1", port, secure: false, ignoreTLS: true, pool: true, maxConnections: connections, maxMessages: Infinity,
});
const line = "All work and no play makes Jack a dull boy, all work and no play.\n";
const text = line.repeat(Math.ceil(size / line.length)).slice(0, size);
let next = 0;
async function work() {
  while (next < letters) {
    const n = next++;
    await transport.sendMail({ from: "alice@load.test", to: `bob${n}@sink.test`, subject: `Letter ${n}`, text });
  }
}
// Twice as many as connections, so that none waits for its next letter.
Promise.all(Array.from({ length: connections * 2 }, work)).then(() => transport.close());
