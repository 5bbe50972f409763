import { HttpAgent, runHttpRequest, transformHttpEventStream } from "@ag-ui/client";

class LogAgent extends HttpAgent {
  connect(input) {
    const url = `${this.url.replace(/\/$/, "")}/threads/${encodeURIComponent(input.threadId)}`;
    return transformHttpEventStream(
      runHttpRequest(() => fetch(url, { headers: this.headers, signal: this.abortController.signal })),
    );
  }
}

const [url, threadId] = process.argv.slice(2);
const user = { id: "user-run-1", role: "user", content: "1 + 2?" };
const agent = new LogAgent({ url, threadId, initialMessages: [user] });
const seen = [];
let left = Number(process.argv[4] ?? 1e9);
try {
  await agent.runAgent({ runId: "run-1" }, { onEvent: ({ event }) => { seen.push(event.type); if (--left === 0) agent.abortRun(); } });
} catch (error) { console.error(String(error)); }
const after = new LogAgent({ url, threadId, initialMessages: agent.messages, initialState: agent.state });
await after.connectAgent({ runId: "follow" });
console.log(JSON.stringify({ run: agent.messages, after: after.messages, state: after.state, seen: seen.length }));
