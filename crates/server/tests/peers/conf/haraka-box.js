// Keeps letters in a maildir, refuses nobody@ for good and later@ for now.
const fs = require("node:fs");
const path = require("node:path");

const box = "@DIR@/mail/box";

exports.hook_rcpt = (next, connection, params) => {
  if (params[0].user === "nobody") return next(DENY, "no such user");
  if (params[0].user === "later") return next(DENYSOFT, "not now");
  next(OK);
};

exports.hook_queue = (next, connection) => {
  const letter = connection.transaction;
  const file = path.join(box, "tmp", letter.uuid);
  const stream = fs.createWriteStream(file);
  stream.once("close", () => fs.rename(file, path.join(box, "new", letter.uuid), () => next(OK)));
  letter.message_stream.pipe(stream, { line_endings: "\r\n" });
};

// What those who have logged in send is not for this server alone.
exports.hook_queue_outbound = exports.hook_queue;
