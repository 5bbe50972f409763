// Begins runs and follows them, each cut off in the middle of a frame, too, as often as is asked: URL REPLICA CUTS
// CUTS: for each thread, after how many bytes its connections break, one after another; the last one holds.
import { HttpAgent, runHttpRequest, transformHttpEventStream } from "@ag-ui/client";

const LOST = "the connection was lost";

class LogAgent extends HttpAgent {
  connect(input) {
    const url = `${this.url.replace(/\/$/, "")}/threads/${encodeURIComponent(input.threadId)}`;
    return transformHttpEventStream(
      runHttpRequest(() => this.fetch(url, { headers: this.headers, signal: this.abortController.signal })),
    );
  }
}

function breakingAfter(line) {
  return async (url, options) => {
    const response = await fetch(url, options);
    const reader = response.body.getReader();
    const body = new ReadableStream({
      async pull(controller) {
        if (line.left === 0) {
          line.cuts += 1;
          await reader.cancel();
          return controller.error(new TypeError(LOST));
        }
        const { done, value } = await reader.read();
        if (done) return controller.close();
        const kept = value.subarray(0, line.left);
        line.left -= kept.length;
        line.bytes += kept.length;
        controller.enqueue(kept);
      },
    });
    return new Response(body, { status: response.status, headers: response.headers });
  };
}

// The client cancels a stream that has failed already, and leaves what comes of that to nobody.
process.on("unhandledRejection", (error) => {
  if (error?.message !== LOST) throw error;
});
console.error = () => {};
const [url, replica, asked] = process.argv.slice(2);
const ends = [];
for (const [number, cuts] of JSON.parse(asked).entries()) {
  const line = { left: Infinity, bytes: 0, cuts: 0 };
  const user = { id: "user-run", role: "user", content: "1 + 2?" };
  const options = { url, threadId: `thread-${number}`, initialMessages: [user], fetch: breakingAfter(line) };
  const agent = new LogAgent(options);
  const errors = [];
  for (const [time, left] of [...cuts, Infinity].entries()) {
    line.left = left;
    try {
      await (time === 0 ? agent.runAgent({ runId: "run" }) : agent.connectAgent({ runId: "run" }));
    } catch (error) {
      errors.push(String(error));
    }
    // It comes back to the other replica, and then to the first.
    agent.url = time % 2 ? url : replica;
  }
  ends.push({ messages: agent.messages, state: agent.state, bytes: line.bytes, cuts: line.cuts, errors });
}
console.log(JSON.stringify(ends));
