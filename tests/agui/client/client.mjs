// In Node. `talk URL REPLICA CUTS`: for each thread, after how many bytes its connections break, one after another.
// `persist THREAD URL…`: have a run end, whatever breaks; says a line for each event that is heard.
import { isExpected, persist, talk } from "./agent.mjs";

process.on("unhandledRejection", (error) => {
  if (!isExpected(error)) throw error;
});
console.error = () => {};
const [what, ...given] = process.argv.slice(2);
const ended =
  what === "talk"
    ? await talk(given[0], given[1], JSON.parse(given[2]))
    : await persist(given.slice(1), given[0], false, () => console.log("heard"));
console.log(JSON.stringify(ended));
