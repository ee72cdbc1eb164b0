// A network that can be cut: TCP to the server by way of a port of this process.
import { once } from "node:events";
import net from "node:net";

export async function network(url) {
  const { hostname, port } = new URL(url);
  const ends = new Set();
  let down = false;
  const server = net.createServer((near) => {
    if (down) return near.destroy();
    const far = net.connect(Number(port), hostname);
    for (const [one, other] of [[near, far], [far, near]]) {
      ends.add(one);
      one.pipe(other);
      one.on("error", () => {});
      one.on("close", () => (ends.delete(one), other.destroy()));
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    // Ends all connections without a word and lets no new one through.
    cut() {
      down = true;
      for (const end of ends) end.destroy();
    },
    mend: () => (down = false),
  };
}
