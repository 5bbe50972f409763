// The official client, with what a thread needs that goes on when its connection is lost.
import { HttpAgent, runHttpRequest, transformHttpEventStream } from "@ag-ui/client";

export const LOST = "the connection was lost";

export class LogAgent extends HttpAgent {
  connect(input) {
    const url = `${this.url.replace(/\/$/, "")}/threads/${encodeURIComponent(input.threadId)}`;
    return transformHttpEventStream(
      runHttpRequest(() => this.fetch(url, { headers: this.headers, signal: this.abortController.signal })),
    );
  }
}

/** A fetch whose connection breaks after so many bytes. */
export function breakingAfter(line) {
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

/** Begin a run in each thread and follow it, to one replica and the other; how each ended. */
export async function talk(url, replica, threads) {
  const ends = [];
  for (const [number, cuts] of threads.entries()) {
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
  return ends;
}

/** Have a run end, whatever breaks: come back to one replica after the other, and begin it again where it was lost. */
export async function persist(urls, threadId, isBegun, heard = () => {}) {
  const user = { id: "user-run", role: "user", content: "1 + 2?" };
  const agent = new LogAgent({ url: urls[0], threadId, initialMessages: isBegun ? [] : [user] });
  let begins = !isBegun;
  for (let time = 1; ; time += 1) {
    let end;
    let hasHeard = false;
    const subscriber = {
      onEvent: () => {
        hasHeard = true;
        heard();
      },
      onRunFinishedEvent: () => void (end = "finished"),
      onRunErrorEvent: ({ event }) => void (end = event.code),
    };
    try {
      await (begins ? agent.runAgent({ runId: "run" }, subscriber) : agent.connectAgent({ runId: "run" }, subscriber));
    } catch (error) {
      // Of a thread that nobody knows, not even its beginning has arrived.
      if (String(error).includes("404")) {
        agent.setMessages([user]);
        end = "LOST";
      }
    }
    if (end === "finished") return { messages: agent.messages, state: agent.state, times: time };
    begins = end === "LOST" || (begins && !hasHeard);
    agent.url = urls[time % urls.length];
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The client cancels a stream that has failed already, and leaves what comes of that to nobody. */
export const isExpected = (error) => error?.message === LOST || error?.name === "TypeError" || error?.name === "AbortError";
