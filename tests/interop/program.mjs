// Runs the JavaScript on stdin with `fal`, fal's own client, unchanged but for the addresses of its requests.
import { createFalClient } from "@fal-ai/client";

const server = process.env.FAL_SERVER;
const addresses = {
  "https://fal.run/": `${server}/`,
  "https://queue.fal.run/": `${server}/queue/`,
  "https://rest.fal.ai/": `${server}/rest/`,
};

function here(url) {
  for (const [theirs, ours] of Object.entries(addresses)) {
    if (url.startsWith(theirs)) return ours + url.slice(theirs.length);
  }
  if (!url.startsWith(server)) throw new Error(`a request that would leave this machine: ${url}`);
  return url;
}

const fal = createFalClient({
  credentials: process.env.FAL_KEY,
  fetch: (url, init) => fetch(here(String(url)), init),
});

const report = (value) => console.log(JSON.stringify(value));

// What a promise was rejected with, as far as fal's documentation names it.
async function failure(promise) {
  try {
    await promise;
    return null;
  } catch ({ name, message, status, body, requestId, timeoutType, fieldErrors }) {
    return { name, message, status, body, requestId, timeoutType, fieldErrors };
  }
}

let code = "";
for await (const chunk of process.stdin) code += chunk;
const AsyncFunction = (async () => {}).constructor;
await new AsyncFunction("fal", "report", "failure", code)(fal, report, failure);
