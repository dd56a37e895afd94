// Prints how many messages a second nodemailer's pool sends.
const { HOST, PORT, CA, CONNS, MILLIS, FROM, TO, SUBJECT, TEXT, HTML } = process.env;
const transport = require("nodemailer").createTransport({
  host: HOST,
  port: Number(PORT),
  secure: CA !== "",
  ignoreTLS: CA === "",
  tls: { ca: CA || undefined, servername: "localhost" },
  pool: true,
  maxConnections: Number(CONNS),
  maxMessages: Infinity,
});
const send = () => transport.sendMail({ from: { name: "MyBank", address: FROM }, to: TO, subject: SUBJECT, text: TEXT, html: HTML });

async function run(millis) {
  const until = Date.now() + millis;
  let sent = 0;
  const worker = async () => {
    do {
      await send();
      sent++;
    } while (Date.now() < until);
  };
  await Promise.all(Array.from({ length: Number(CONNS) }, worker));
  return sent;
}

(async () => {
  await run(300); // connections open, code compiled
  const begun = performance.now();
  const sent = await run(Number(MILLIS));
  console.log((sent / (performance.now() - begun)) * 1000);
  transport.close();
})().catch((err) => {
  console.error(err.message);
  process.exit(1);
});
